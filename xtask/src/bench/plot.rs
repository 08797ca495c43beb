//! The measured rates as a bar chart.

use plotters::prelude::*;

/// One measured rate.
pub(super) struct Bar {
    group: String,
    contender: &'static str,
    rate: f64,
}

impl Bar {
    pub(super) fn new(scenario: &str, system: &str, contender: &'static str, rate: f64) -> Self {
        Self { group: format!("{scenario}, {system}"), contender, rate }
    }
}

const BAR: i32 = 18;
const GAP: i32 = 14;
const LEFT: i32 = 290;
const WIDTH: i32 = 900;

/// An SVG with a group for each scenario and file system and a bar for each contender; our daemon has its own colour.
pub(super) fn bars(all: &[Bar]) -> String {
    let mut groups: Vec<&str> = all.iter().map(|bar| bar.group.as_str()).collect();
    groups.dedup();
    let height = 40
        + i32::try_from(all.len()).unwrap_or(0) * BAR
        + i32::try_from(groups.len()).unwrap_or(0) * (GAP + BAR);
    let mut svg = String::new();
    let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let drawn = draw(&area, all, &groups);
    drop(area);
    // Drawing into a string cannot fail.
    drawn.map(|()| svg).unwrap_or_default()
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(area: &Area<'_>, all: &[Bar], groups: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let text = |words: &str, at: (i32, i32), size: i32| {
        area.draw(&Text::new(words.to_owned(), at, ("sans-serif", size)))
    };
    text("intents per second; within a group, longer is better", (10, 10), 15)?;
    let mut y = 40;
    for group in groups {
        text(group, (10, y), 14)?;
        y += BAR;
        let bars: Vec<&Bar> = all.iter().filter(|bar| bar.group == *group).collect();
        let longest = bars.iter().map(|bar| bar.rate).fold(1.0, f64::max);
        for bar in bars {
            #[expect(clippy::cast_possible_truncation, reason = "pixels")]
            let length = (f64::from(WIDTH - LEFT - 90) * bar.rate / longest) as i32;
            let colour = if bar.contender.starts_with("ours") {
                RGBColor(31, 119, 180)
            } else {
                RGBColor(170, 170, 170)
            };
            text(bar.contender, (LEFT - 140, y + 2), 13)?;
            area.draw(&Rectangle::new([(LEFT, y + 2), (LEFT + length, y + BAR - 2)], colour.filled()))?;
            text(&format!("{:.0}", bar.rate), (LEFT + length + 6, y + 2), 13)?;
            y += BAR;
        }
        y += GAP;
    }
    area.present()?;
    Ok(())
}
