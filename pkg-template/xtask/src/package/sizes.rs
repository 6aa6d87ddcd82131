//! What the package weighs: raw, and as gzip at its best sends it.

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write as _;
use std::path::Path;

const FILES: &[&str] = &["wasm/edge_session.wasm", "wasm/glue.js", "wasm/base64.js", "index.js", "bundle.js"];

pub(super) fn print(package: &Path) -> Result<()> {
    println!("{:<24} {:>9} {:>9}", "bytes", "raw", "gzip");
    for name in FILES {
        let bytes = fs::read(package.join(name))?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bytes)?;
        println!("{name:<24} {:>9} {:>9}", bytes.len(), gzip.finish()?.len());
    }
    Ok(())
}
