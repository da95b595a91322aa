//! How long each piece of a request takes: `cargo bench -p pieces`.

fn main() {
    divan::main();
}

#[divan::bench(args = pieces::NAMES)]
fn piece(bencher: divan::Bencher<'_, '_>, name: &str) {
    let Some(piece) = pieces::piece(name) else { return };
    bencher.bench_local(piece);
}
