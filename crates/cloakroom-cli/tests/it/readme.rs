//! What the README shows of the demo is what the demo answers.

use testbed::Shell;
use testbed::papers::blocks;

use crate::demo::on_memory;

const PAPER: &str = "README.md";

#[test]
fn the_exchange_with_the_demo_is_what_happens() {
    let demo = on_memory();
    let blocks = blocks(PAPER);
    let mut played = blocks.iter().filter(|block| block.marker == "played on the demo");
    Shell::at(demo.addr()).play(PAPER, played.next().expect("the exchange"));
    assert_eq!(played.next(), None);
}
