//! One measured thing, and what it is held against.

use serde::{Deserialize, Serialize};

/// What a figure is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Ours divided by theirs, or ours by itself where there is nothing beside it: no less.
    AtLeast(f64),
    /// The same: no more.
    AtMost(f64),
    /// Ours less theirs: no more.
    AtMostMore(f64),
    /// Nothing: it is shown, and compared with the last time.
    Informational,
}

/// A row of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// The median of ours.
    pub(crate) ours: f64,
    /// The median of what it was measured against.
    pub(crate) theirs: Option<f64>,
    /// What is held against the target: the median of the rounds' ratios, or differences, or ours by itself.
    pub(crate) ratio: f64,
    /// What that must reach.
    pub(crate) target: Target,
    /// Whether it does.
    pub(crate) met: Option<bool>,
    /// What `ours` and `theirs` count.
    pub(crate) unit: String,
    /// Each round: ours, and theirs.
    pub(crate) rounds: Vec<(f64, Option<f64>)>,
}

impl Row {
    /// A row of paired rounds.
    pub(crate) fn pairs(name: impl Into<String>, unit: &str, target: Target, rounds: &[(f64, f64)]) -> Self {
        let rounds = rounds.iter().map(|(ours, theirs)| (*ours, Some(*theirs))).collect();
        Self::new(name.into(), unit, target, rounds)
    }

    /// A row that stands by itself.
    pub(crate) fn alone(name: impl Into<String>, unit: &str, target: Target, rounds: &[f64]) -> Self {
        Self::new(name.into(), unit, target, rounds.iter().map(|ours| (*ours, None)).collect())
    }

    fn new(name: String, unit: &str, target: Target, rounds: Vec<(f64, Option<f64>)>) -> Self {
        let judged = rounds.iter().map(|(ours, theirs)| match (target, theirs) {
            (Target::AtMostMore(_), Some(theirs)) => ours - theirs,
            (_, Some(theirs)) => ours / theirs,
            (_, None) => *ours,
        });
        let ratio = median(judged.collect());
        let met = match target {
            Target::AtLeast(least) => Some(ratio >= least),
            Target::AtMost(most) | Target::AtMostMore(most) => Some(ratio <= most),
            Target::Informational => None,
        };
        let theirs: Vec<f64> = rounds.iter().filter_map(|(_, theirs)| *theirs).collect();
        Self {
            ours: median(rounds.iter().map(|(ours, _)| *ours).collect()),
            theirs: (!theirs.is_empty()).then(|| median(theirs)),
            name,
            ratio,
            target,
            met,
            unit: unit.to_owned(),
            rounds,
        }
    }

    /// How much worse it is than it was, as a share: 0.1 is 10 %. What is better has no sign here.
    pub(crate) fn worse_than(&self, before: &Self) -> f64 {
        match self.target {
            Target::AtLeast(_) => 1.0 - self.ratio / before.ratio,
            // A difference may be near nothing: it is held against what it is the difference to.
            Target::AtMostMore(_) => {
                self.ours
                    / self.theirs.unwrap_or(self.ours)
                    / (before.ours / before.theirs.unwrap_or(before.ours))
                    - 1.0
            }
            Target::AtMost(_) | Target::Informational => self.ratio / before.ratio - 1.0,
        }
    }

    /// The target in words.
    pub(crate) fn wanted(&self) -> String {
        match (self.target, self.theirs.is_some()) {
            (Target::AtLeast(least), _) => format!(">= {least}{}", if least >= 2.0 { "x" } else { "" }),
            (Target::AtMost(most), true) => format!("<= {most}x"),
            (Target::AtMost(most), false) => format!("<= {most} {}", self.unit),
            (Target::AtMostMore(most), _) => format!("<= +{most} {}", self.unit),
            (Target::Informational, _) => "informational".into(),
        }
    }

    /// What is held against the target, in words.
    pub(crate) fn reached(&self) -> String {
        match (self.target, self.theirs.is_some()) {
            (Target::AtMostMore(_), _) => format!("{:+.2} {}", self.ratio, self.unit),
            (_, true) => format!("{:.2}x", self.ratio),
            (_, false) => format!("{} {}", figure(self.ratio), self.unit),
        }
    }
}

/// A number with as many digits as say something.
pub(crate) fn figure(number: f64) -> String {
    match number.abs() {
        size if size >= 1_000.0 => {
            let digits = format!("{number:.0}");
            let mut spelled = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at) % 3 == 0 {
                    spelled.push(',');
                }
                spelled.push(digit);
            }
            spelled
        }
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// The middle of some numbers; 0 of none.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let half = numbers.len() / 2;
    match numbers.len() {
        0 => 0.0,
        count if count % 2 == 1 => numbers[half],
        _ => f64::midpoint(numbers[half - 1], numbers[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_rounds_ratios_is_held_against_the_target() {
        let row = Row::pairs("a", "1/s", Target::AtLeast(0.8), &[(8.0, 10.0), (9.0, 10.0), (1.0, 10.0)]);
        assert_eq!((row.ratio, row.met), (0.8, Some(true)));
        let row = Row::pairs("b", "ms", Target::AtMostMore(1.0), &[(3.0, 1.5)]);
        assert_eq!((row.ratio, row.met), (1.5, Some(false)));
        assert_eq!(Row::alone("c", "MB", Target::AtMost(3.0), &[2.0, 4.0]).met, Some(true));
    }

    #[test]
    fn worse_is_less_of_what_should_be_much_and_more_of_what_should_be_little() {
        let row = |target, ours| Row::pairs("a", "", target, &[(ours, 10.0)]);
        let worse = |target, now, before| row(target, now).worse_than(&row(target, before));
        assert!((worse(Target::AtLeast(0.8), 8.0, 10.0) - 0.2).abs() < 1e-9);
        assert!((worse(Target::AtMost(1.2), 11.0, 10.0) - 0.1).abs() < 1e-9);
        assert!((worse(Target::AtMostMore(1.0), 12.0, 10.0) - 0.2).abs() < 1e-9);
        assert!(worse(Target::Informational, 9.0, 10.0) < 0.0);
    }

    #[test]
    fn figures_are_short() {
        let spelled = [1_234_567.0, 1_234.4, 123.4, 12.34, 1.234].map(figure);
        assert_eq!(spelled, ["1,234,567", "1,234", "123", "12.3", "1.23"]);
    }
}
