//! The gzipped sizes of the package's entries, and their limits.
//!
//! Invariant: the build fails if an entry exceeds its limit, and says by how much; also if an entry has no limit, or a
//! limit no entry. A limit is a quarter of a percent above the measured size, or the size of a few functions more.
//! Raising one is a decision, made in the commit that needs it.

use crate::layout::{target, toolbox};
use crate::process::{command, npm_tool, output, run};
use anyhow::{Context, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// Bytes of gzip. An entry of the package counts with everything that it imports except the module, which all share;
/// the first three lines are what a user of the main entry loads.
#[rustfmt::skip]
const LIMITS: &[(&str, usize)] = &[
    ("the module", 329_650),
    ("openReplica, inline", 356_600),
    ("openReplica, workerd", 363_950),
    (".", 41_600),
    ("./browser", 9_000),
    ("./cloudflare", 39_000),
    ("./hono", 5_000),
    ("./http", 5_000),
    ("./node", 24_000),
    ("./testing", 39_900),
    ("./bundle", 367_600),
];

/// Measures everything, prints it, and fails if something is above its limit.
pub(super) fn check(package: &Path) -> Result<()> {
    let weights = weigh(package)?;
    println!("{:<24} {:>9} {:>9}", "bytes of gzip", "now", "limit");
    for (name, bytes) in &weights {
        let limit = limit(name).map_or_else(|| "none".into(), |limit| limit.to_string());
        println!("{name:<24} {bytes:>9} {limit:>9}");
    }
    let problems = judge(&weights);
    ensure!(problems.is_empty(), "{}", problems.join("; "));
    Ok(())
}

fn limit(name: &str) -> Option<usize> {
    LIMITS.iter().find(|(limited, _)| *limited == name).map(|(_, limit)| *limit)
}

fn judge(weights: &[(String, usize)]) -> Vec<String> {
    let too_heavy = weights.iter().filter_map(|(name, bytes)| match limit(name) {
        Some(limit) if *bytes > limit => Some(format!(
            "{name} has grown to {bytes} bytes of gzip, {} above its limit: make it smaller, or say in the commit why \
             it may grow, and raise its limit in package/sizes.rs",
            bytes - limit
        )),
        Some(_) => None,
        None => Some(format!("{name} weighs {bytes} bytes of gzip and has no limit: give it one in package/sizes.rs")),
    });
    let gone = LIMITS.iter().filter(|(name, _)| weights.iter().all(|(weighed, _)| weighed != name));
    too_heavy.chain(gone.map(|(name, _)| format!("{name} has a limit in package/sizes.rs and is not there"))).collect()
}

fn weigh(package: &Path) -> Result<Vec<(String, usize)>> {
    let dir = target().join("package/weighed");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("node_modules"))?;
    std::os::unix::fs::symlink(package, dir.join("node_modules/edge-session"))?;
    let module = weight(&package.join("wasm/edge_session.wasm"))?;
    let minimal = "export { openReplica } from 'edge-session';";
    let workerd = bundle(&dir, "workerd", minimal, &["--conditions=workerd", "--loader:.wasm=copy"])?;
    let mut weights = vec![
        ("the module".into(), module),
        ("openReplica, inline".into(), bundle(&dir, "inline", minimal, &["--platform=browser"])?),
        ("openReplica, workerd".into(), module + workerd),
    ];
    const ENTRIES: &str = "console.log(Object.keys(JSON.parse(fs.readFileSync('package.json')).exports).join('\\n'))";
    for entry in output(command("node").current_dir(package).args(["--eval", ENTRIES]))?.lines() {
        let bytes = match entry {
            "./package.json" => continue,
            "./bundle" => weight(&package.join("bundle.js"))?,
            _ => {
                let platform = if entry == "./node" { "--platform=node" } else { "--platform=browser" };
                let all = format!("export * from 'edge-session{}';", entry.trim_start_matches('.'));
                let outside = ["--external:#wasm", "--external:node:*", "--external:cloudflare:*", platform];
                bundle(&dir, &entry.replace(['.', '/'], "_"), &all, &outside)?
            }
        };
        weights.push((entry.to_string(), bytes));
    }
    Ok(weights)
}

/// What a bundler makes of `source`.
fn bundle(dir: &Path, name: &str, source: &str, options: &[&str]) -> Result<usize> {
    let (from, to) = (dir.join(format!("{name}.mjs")), dir.join(format!("out/{name}.js")));
    fs::write(&from, source)?;
    run(npm_tool("esbuild/bin/esbuild")
        .current_dir(dir)
        .env("NODE_PATH", toolbox())
        .args(["--bundle", "--format=esm", "--minify", "--target=es2022", "--legal-comments=none"])
        .args(["--log-level=warning", "--outdir=out"])
        .args(options)
        .arg(&from))
    .with_context(|| format!("weighing {name}"))?;
    weight(&to)
}

fn weight(file: &Path) -> Result<usize> {
    Ok(gzip(&fs::read(file).with_context(|| format!("weighing {}", file.display()))?)?.len())
}

/// The bytes as gzip's best level packs them.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_limits() -> Vec<(String, usize)> {
        LIMITS.iter().map(|(name, limit)| ((*name).to_string(), *limit)).collect()
    }

    #[test]
    fn what_outgrows_its_limit_is_named_with_how_much() {
        assert!(judge(&at_limits()).is_empty());
        let mut weights = at_limits();
        weights[0].1 += 17;
        let problems = judge(&weights);
        assert!(problems.len() == 1 && problems[0].contains("the module") && problems[0].contains(" 17 above"));
    }

    #[test]
    fn an_entry_without_a_limit_and_a_limit_without_an_entry_fail() {
        let mut weights = at_limits();
        weights.push(("./new".into(), 1));
        assert!(judge(&weights)[0].contains("./new weighs 1 bytes"));
        assert!(judge(&at_limits()[1..])[0].contains("the module has a limit"));
    }
}
