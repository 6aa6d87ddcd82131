//! `hot-path`: lists the paths (without an argument), or runs the one of that number, to be counted from outside.

use edge_session_bench::hot::PATHS;

fn main() {
    let chosen = std::env::args().nth(1).and_then(|number| PATHS.get(number.parse::<usize>().ok()?));
    match chosen {
        Some(path) => (path.run)(path.operations).expect("the path runs to its end"),
        None => PATHS.iter().for_each(|path| println!("{}\t{}", path.operations, path.name)),
    }
}
