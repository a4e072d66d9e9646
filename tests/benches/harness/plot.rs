//! A picture of one part of the table: a line for each comparison, on a logarithmic scale.
//!
//! What is drawn: the ratio (a dot), its quartiles (a bar), the goal (a stroke), and 1, where both
//! are equally fast.

use std::path::Path;

use evenfold_tests::Outcome;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Comparison, shown};

const WIDTH: u32 = 1000;
const LINE: i32 = 26;
/// Where the scale begins and ends; names stand before it, numbers behind it.
const SCALE: (i32, i32) = (520, 900);
const TOP: i32 = 60;

const OURS: RGBColor = RGBColor(0x1f, 0x6f, 0x8b);
const MISSED: RGBColor = RGBColor(0xc0, 0x39, 0x2b);
const PALE: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
const GREY: RGBColor = RGBColor(0x99, 0x99, 0x99);

pub(super) fn draw(file: &Path, title: &str, rows: &[Comparison]) -> Outcome {
    let lines = i32::try_from(rows.len())?;
    let height = TOP + lines * LINE + 20;
    let area = SVGBackend::new(file, (WIDTH, u32::try_from(height)?)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32, color: RGBColor, side: HPos| {
        ("sans-serif", size).into_font().color(&color).pos(Pos::new(side, VPos::Center))
    };
    let left = |size, color| text(size, color, HPos::Left);
    let middle = |size, color| text(size, color, HPos::Center);
    area.draw(&Text::new(title.to_owned(), (20, 22), left(18, BLACK)))?;

    let scale = Scale::over(rows);
    for mark in scale.marks() {
        let is_one = (mark - 1.0).abs() < f64::EPSILON;
        let (x, color) = (scale.x(mark), if is_one { BLACK } else { PALE });
        area.draw(&PathElement::new([(x, TOP - 8), (x, height - 14)], color))?;
        area.draw(&Text::new(format!("{mark}×"), (x, TOP - 18), middle(12, GREY)))?;
    }
    for (row, number) in rows.iter().zip(0..) {
        let y = TOP + number * LINE + LINE / 2;
        let color = if row.is_missed() { MISSED } else { OURS };
        area.draw(&Text::new(row.name.clone(), (20, y), left(13, BLACK)))?;
        let (first, third) = row.quartiles();
        let bar = [(scale.x(first), y - 4), (scale.x(third), y + 4)];
        area.draw(&Rectangle::new(bar, color.mix(0.35).filled()))?;
        if let Some(goal) = row.goal {
            let x = scale.x(goal);
            area.draw(&PathElement::new([(x, y - 9), (x, y + 9)], GREY.stroke_width(2)))?;
        }
        area.draw(&Circle::new((scale.x(row.ratio()), y), 5, color.filled()))?;
        area.draw(&Text::new(shown(row.ratio()), (SCALE.1 + 24, y), left(13, color)))?;
    }
    Ok(area.present()?)
}

/// Ratios from the smallest to the largest, each power of two or ten a mark.
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    fn over(rows: &[Comparison]) -> Self {
        let all =
            || rows.iter().flat_map(|row| [row.ratio(), row.quartiles().0, row.quartiles().1]);
        let goals = || rows.iter().filter_map(|row| row.goal);
        let least = all().chain(goals()).fold(0.5, f64::min);
        let most = all().chain(goals()).fold(2.0, f64::max);
        Self { from: least * 0.9, to: most * 1.1 }
    }

    fn marks(&self) -> impl Iterator<Item = f64> {
        let all = [0.01, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1e3, 1e4];
        let (from, to) = (self.from, self.to);
        all.into_iter().filter(move |mark| (from..=to).contains(mark))
    }

    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "a place in a picture"
    )]
    fn x(&self, ratio: f64) -> i32 {
        let (begin, end) = (f64::from(SCALE.0), f64::from(SCALE.1));
        let part = (ratio / self.from).ln() / (self.to / self.from).ln();
        (begin + part.clamp(0.0, 1.0) * (end - begin)) as i32
    }
}
