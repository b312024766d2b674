//! Pictures of what was measured.

use std::path::Path;

use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use serde::{Deserialize, Serialize};

use crate::measure::Outcome;
use crate::row::figure;

/// A picture with lines in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plot {
    pub(crate) title: String,
    /// What the horizontal axis counts.
    pub(crate) across: String,
    /// What the vertical axis counts.
    pub(crate) up: String,
    /// Whether the horizontal axis goes by powers of ten.
    pub(crate) logarithmic: bool,
    pub(crate) series: Vec<Series>,
}

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 95, 204), RGBColor(214, 93, 14), RGBColor(20, 130, 80), RGBColor(150, 60, 150)];

impl Plot {
    /// The file that it is kept in.
    pub(crate) fn file(&self) -> String {
        let words: String = self
            .title
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' })
            .collect();
        format!("{}.svg", words.split_whitespace().collect::<Vec<_>>().join("-"))
    }

    /// Draws it into a folder.
    pub(crate) fn draw(&self, folder: &Path) -> Outcome<()> {
        let file = folder.join(self.file());
        let area = SVGBackend::new(&file, (760, 360)).into_drawing_area();
        area.fill(&WHITE)?;
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::MIN_POSITIVE, f64::max);
        let least = points().map(|point| point.0).fold(f64::MAX, f64::min);
        let (right, top) = (most(|point| point.0), most(|point| point.1) * 1.05);
        let mut builder = ChartBuilder::on(&area);
        builder
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .caption(&self.title, ("sans-serif", 16));
        if self.logarithmic {
            self.lines(builder.build_cartesian_2d((least..right).log_scale(), 0.0..top)?)?;
        } else {
            self.lines(builder.build_cartesian_2d(0.0..right, 0.0..top)?)?;
        }
        area.present()?;
        Ok(())
    }

    fn lines<'a, X>(
        &self,
        mut chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, RangedCoordf64>>,
    ) -> Outcome<()>
    where
        X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let label = |number: &f64| figure(*number);
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(&self.across)
            .y_desc(&self.up)
            .x_label_formatter(&label)
            .y_label_formatter(&label)
            .draw()?;
        for (series, colour) in self.series.iter().zip(COLOURS) {
            chart
                .draw_series(LineSeries::new(series.points.iter().copied(), colour.stroke_width(2)))?
                .label(&series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        }
        let legend = SeriesLabelPosition::LowerRight;
        chart
            .configure_series_labels()
            .position(legend)
            .background_style(WHITE)
            .border_style(BLACK)
            .draw()?;
        Ok(())
    }
}
