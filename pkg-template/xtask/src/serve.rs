//! A static server for the demo: `www/` at the root, `pkg/` under `/pkg/`, on the loopback interface only, and at
//! `/edges.json` where the edges are.
//!
//! In Rust and in this process, so that it ends with the command, whatever ends the command: nothing to spawn, to wait
//! for or to leave behind. It answers one GET or HEAD per connection and serves nothing outside the two directories.

use crate::layout::{package, root};
use anyhow::{Context, Result};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// What pages are told where no edges run.
pub(crate) const NO_EDGES: &str = "null";

pub(crate) struct Server {
    pub(crate) url: String,
    accepting: JoinHandle<()>,
}

/// Starts serving; port 0 takes a free one. `edges` is what pages are told of the edges.
pub(crate) fn start(port: u16, edges: &str) -> Result<Server> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("port {port} cannot be had; choose another with --port"))?;
    let url = format!("http://{}/", listener.local_addr()?);
    let edges: Arc<str> = edges.into();
    let accepting = std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // A browser that closes early is none of the server's concern.
            let edges = Arc::clone(&edges);
            std::thread::spawn(move || answer(&connection, &edges).ok());
        }
    });
    Ok(Server { url, accepting })
}

impl Server {
    /// Serves until the process is ended.
    pub(crate) fn forever(self) {
        let _ = self.accepting.join();
    }
}

fn answer(mut connection: &TcpStream, edges: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    // The headers are read though nothing in them matters: closing on unread bytes resets the connection.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = request.split(' ');
    let method = words.next().unwrap_or_default();
    let found = match method {
        "GET" | "HEAD" => words.next().and_then(|target| found(target, edges)),
        _ => None,
    };
    let (status, (mime, body)) = match found {
        Some(found) => ("200 OK", found),
        None => ("404 Not Found", ("text/plain; charset=utf-8", b"not found\n".to_vec())),
    };
    // no-store: a rebuilt package shows at the next reload.
    write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Type: {mime}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if method != "HEAD" {
        connection.write_all(&body)?;
    }
    connection.flush()
}

/// What a request's path names, and of which kind that is.
fn found(target: &str, edges: &str) -> Option<(&'static str, Vec<u8>)> {
    if target == "/edges.json" {
        return Some((mime(Path::new(target)), edges.into()));
    }
    let file = file_for(target)?;
    Some((mime(&file), fs::read(file).ok()?))
}

/// The file that a request's path names. None for whatever is no plain path downwards.
fn file_for(target: &str) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let (base, path) = match path.strip_prefix("pkg/") {
        Some(rest) => (package(), rest),
        None => (root().join("www"), path),
    };
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    // Names in both directories are plain ASCII; an escaped one is no name of ours.
    if !plain || path.contains('%') {
        return None;
    }
    Some(if path.is_empty() || path.ends_with('/') { base.join(path).join("index.html") } else { base.join(path) })
}

fn mime(file: &Path) -> &'static str {
    match file.extension().and_then(|e| e.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json; charset=utf-8",
        Some("webmanifest") => "application/manifest+json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt" | "md" | "ts") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_upwards_or_escaped_names_no_file() {
        for target in
            ["/../Cargo.toml", "/pkg/../../Cargo.toml", "/%2e%2e/Cargo.toml", "/pkg//etc/passwd", "//etc/passwd", "x"]
        {
            assert_eq!(file_for(target), None, "{target}");
        }
    }

    #[test]
    fn pages_are_told_where_the_edges_are() {
        assert_eq!(found("/edges.json", "{}"), Some(("application/json; charset=utf-8", b"{}".to_vec())));
        assert_eq!(found("/edges/nothing.json", "{}"), None);
    }

    #[test]
    fn the_root_is_the_page_and_a_query_is_ignored() {
        let page = Some(root().join("www/index.html"));
        assert_eq!(file_for("/"), page);
        assert_eq!(file_for("/?edge=1"), page);
        assert_eq!(file_for("/pkg/bundle.js?v"), Some(package().join("bundle.js")));
    }
}
