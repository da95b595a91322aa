//! Bars, as SVG that follows the reader's light or dark mode.

use std::fmt::Write;

/// Bars from left to right, the shortest first line of all at the top.
pub(crate) struct Plot {
    pub(crate) title: String,
    /// What the parts of a bar are.
    pub(crate) parts: [&'static str; 2],
    pub(crate) bars: Vec<Bar>,
}

/// One bar, of parts that add up.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) parts: Vec<f64>,
    pub(crate) ours: bool,
}

const WIDTH: f64 = 760.0;
const NAMES: f64 = 190.0;
const LINE: f64 = 26.0;
const TOP: f64 = 64.0;
/// Right of the longest bar, for its figure.
const FIGURES: f64 = 130.0;
/// A bar that is so many times the second longest ends at the edge, with its figure beside it.
const BROKEN: f64 = 3.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}\
.s{fill:#0969da}.r{fill:#9ec5f3}.o{font-weight:600}.base{stroke:#8c959f}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#4493f8}.r{fill:#22497c}.base{stroke:#6e7681}}";

impl Plot {
    pub(crate) fn svg(&self) -> String {
        let sums = || self.bars.iter().map(|bar| bar.parts.iter().sum::<f64>());
        let mut sorted: Vec<f64> = sums().collect();
        sorted.sort_by(f64::total_cmp);
        // One giant would make hairs of all others.
        while sorted.len() > 2 && sorted[sorted.len() - 1] > BROKEN * sorted[sorted.len() - 2] {
            sorted.pop();
        }
        let longest = sorted.last().copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
        let scale = (WIDTH - NAMES - FIGURES) / longest;
        let height = TOP + LINE * self.bars.len() as f64 + 12.0;

        let mut svg = String::new();
        // Writing to a string can't fail.
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
             <title>{}</title><style>{STYLE}</style>\n<text class=\"title\" x=\"8\" y=\"22\">{}</text>\n",
            escaped(&self.title),
            escaped(&self.title),
        );
        for (at, (class, name)) in ["s", "r"].into_iter().zip(self.parts).enumerate() {
            let x = NAMES + at as f64 * 110.0;
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"36\" width=\"12\" height=\"12\"/>\
                 <text x=\"{}\" y=\"47\">{}</text>",
                x + 18.0,
                escaped(name)
            );
        }
        for (at, bar) in self.bars.iter().enumerate() {
            self.draw(&mut svg, bar, TOP + LINE * at as f64, scale, longest);
        }
        let _ = write!(
            svg,
            "<line class=\"base\" x1=\"{NAMES}\" x2=\"{NAMES}\" y1=\"{TOP}\" y2=\"{}\"/>\n</svg>\n",
            height - 8.0
        );
        svg
    }

    fn draw(&self, svg: &mut String, bar: &Bar, y: f64, scale: f64, longest: f64) {
        let ours = if bar.ours { " class=\"o\"" } else { "" };
        let sum: f64 = bar.parts.iter().sum();
        let _ = write!(
            svg,
            "<text{ours} x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            NAMES - 8.0,
            y + 17.0,
            escaped(&bar.name)
        );
        let mut x = NAMES;
        let squeezed = if sum > longest { longest / sum } else { 1.0 };
        for (class, part) in ["s", "r"].into_iter().zip(&bar.parts) {
            let width = part * scale * squeezed;
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"18\"/>",
                y + 4.0
            );
            x += width;
        }
        let shown: Vec<String> = bar
            .parts
            .iter()
            .filter(|part| **part > 0.0)
            .map(|part| if *part < 100.0 { format!("{part:.1}") } else { format!("{part:.0}") })
            .collect();
        let broken = if sum > longest { "… " } else { "" };
        let _ = writeln!(
            svg,
            "<text{ours} x=\"{:.1}\" y=\"{}\">{broken}{}</text>",
            x + 6.0,
            y + 17.0,
            shown.join(" + ")
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, parts: [f64; 2]) -> Bar {
        Bar { name: name.into(), parts: parts.into(), ours: false }
    }

    #[test]
    fn a_giant_ends_at_the_edge_and_the_others_keep_their_proportions() {
        let bars = vec![bar("a", [10.0, 0.0]), bar("b", [20.0, 0.0]), bar("c", [2000.0, 5.0])];
        let plot = Plot { title: "<t>".into(), parts: ["x", "y"], bars };
        let svg = plot.svg();
        assert!(svg.contains("&lt;t&gt;") && svg.contains("… 2000 + 5.0"), "{svg}");
        assert!(svg.contains("width=\"220.0\"") && svg.contains("width=\"440.0\""), "{svg}");
    }
}
