//! A small logistic regression with a ridge, by Newton's method (Cox 1958; le Cessie & van Houwelingen 1992). Deterministic.

/// The ridge on standardised columns, a row: half its product with the rows and the squared weights is added to the loss.
const RIDGE: f64 = 0.05;
const STEPS: usize = 12;
/// Newton stops when no weight moves more.
const SETTLED: f64 = 1e-2;

/// A line of the training data: the columns, and whether somebody else made it.
pub(super) type Row<'a> = (&'a [f64], bool);

/// A trained regression, on columns as they are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Logistic {
    pub(super) bias: f64,
    pub(super) weights: Vec<f64>,
}

impl Logistic {
    /// Trains with both classes weighing the same, so that a log-odds is a log-likelihood ratio.
    pub(super) fn train(rows: &[Row<'_>]) -> Self {
        let width = rows.first().map_or(0, |(columns, _)| columns.len());
        let all = number(rows.len()).max(1.0);
        let mean: Vec<f64> = (0..width).map(|at| rows.iter().map(|row| value(row, at)).sum::<f64>() / all).collect();
        let deviation = |(at, mean): (usize, &f64)| {
            let variance = rows.iter().map(|row| (value(row, at) - mean) * (value(row, at) - mean)).sum::<f64>() / all;
            variance.sqrt().max(1e-9)
        };
        let deviations: Vec<f64> = mean.iter().enumerate().map(deviation).collect();
        let others = number(rows.iter().filter(|(_, is_other)| *is_other).count());
        let standard: Vec<(Vec<f64>, f64, f64)> = rows
            .iter()
            .map(|(columns, is_other)| {
                let scaled =
                    columns.iter().zip(mean.iter().zip(&deviations)).map(|(column, (mean, deviation))| (column - mean) / deviation);
                let share = if *is_other { others } else { all - others };
                (scaled.chain([1.0]).collect(), f64::from(u8::from(*is_other)), all / (2.0 * share))
            })
            .collect();
        let found = newton(&standard, width + 1);
        let weights: Vec<f64> = found.iter().zip(&deviations).map(|(weight, deviation)| weight / deviation).collect();
        let shift: f64 = weights.iter().zip(&mean).map(|(weight, mean)| weight * mean).sum();
        Self { bias: found.last().copied().unwrap_or(0.0) - shift, weights }
    }
}

/// The weights that minimise the loss of (columns, truth, weight of the row). The last column is the bias, which has no ridge.
fn newton(rows: &[(Vec<f64>, f64, f64)], width: usize) -> Vec<f64> {
    let mut weights = vec![0.0; width];
    let ridge = RIDGE * number(rows.len());
    for _ in 0..STEPS {
        let mut slope: Vec<f64> = weights.iter().map(|weight| ridge * weight).collect();
        let mut bend = vec![vec![0.0; width]; width];
        for (at, row) in bend.iter_mut().enumerate() {
            row.iter_mut().skip(at).take(1).for_each(|diagonal| *diagonal = ridge);
        }
        if let (Some(slope), Some(bend), Some(weight)) = (slope.last_mut(), bend.last_mut().and_then(|row| row.last_mut()), weights.last())
        {
            *slope -= ridge * weight;
            *bend -= ridge - 1e-9;
        }
        for (columns, truth, share) in rows {
            let chance = 1.0 / (1.0 + (-dot(&weights, columns)).exp());
            let (miss, spread) = (share * (chance - truth), share * chance * (1.0 - chance));
            slope.iter_mut().zip(columns).for_each(|(slope, column)| *slope += miss * column);
            // The lower half is enough: the matrix is symmetric.
            for (at, (line, column)) in bend.iter_mut().zip(columns).enumerate() {
                let factor = spread * column;
                line.iter_mut().zip(columns).take(at + 1).for_each(|(cell, other)| *cell += factor * other);
            }
        }
        let step = solve(bend, &slope);
        weights.iter_mut().zip(&step).for_each(|(weight, step)| *weight -= step);
        if step.iter().all(|step| step.abs() < SETTLED) {
            break;
        }
    }
    weights
}

/// Solves a symmetric positive definite system, given by its lower half (Cholesky).
fn solve(mut matrix: Vec<Vec<f64>>, right: &[f64]) -> Vec<f64> {
    let width = right.len();
    let mut found: Vec<f64> = Vec::with_capacity(width);
    for at in 0..width {
        let (above, rest) = matrix.split_at_mut(at);
        let Some(line) = rest.first_mut() else { break };
        for (column, upper) in above.iter().enumerate() {
            let known = dot(upper.get(..column).unwrap_or_default(), line.get(..column).unwrap_or_default());
            let pivot = upper.get(column).copied().unwrap_or(1.0);
            if let Some(cell) = line.get_mut(column) {
                *cell = (*cell - known) / pivot;
            }
        }
        let before: Vec<f64> = line.iter().take(at).copied().collect();
        let pivot = (line.get(at).copied().unwrap_or(0.0) - dot(&before, &before)).max(1e-12).sqrt();
        if let Some(cell) = line.get_mut(at) {
            *cell = pivot;
        }
        found.push((right.get(at).copied().unwrap_or(0.0) - dot(&before, &found)) / pivot);
    }
    for at in (0..width).rev() {
        let below: f64 = (at + 1..width).map(|row| cell(&matrix, row, at) * found.get(row).copied().unwrap_or(0.0)).sum();
        let pivot = cell(&matrix, at, at);
        if let Some(value) = found.get_mut(at) {
            *value = (*value - below) / pivot;
        }
    }
    found
}

fn cell(matrix: &[Vec<f64>], row: usize, column: usize) -> f64 {
    matrix.get(row).and_then(|line| line.get(column)).copied().unwrap_or(0.0)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn value(row: &Row<'_>, at: usize) -> f64 {
    row.0.get(at).copied().unwrap_or(0.0)
}

fn number(of: usize) -> f64 {
    super::measures::count(of)
}
