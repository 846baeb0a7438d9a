//! Accuracy and loss of logits against labels.

/// How well logits fit labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Images whose label has the largest logit, in percent.
    pub top1: f64,
    /// Images whose label has one of the five largest logits, in percent.
    pub top5: f64,
    /// Mean cross-entropy of the softmax of the logits, in nats.
    pub loss: f64,
}

/// The class with the largest logit; the first of several.
#[must_use]
pub fn first_largest<T: PartialOrd>(logits: &[T]) -> u32 {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    best as u32
}

/// Scores the logits of each image against its label; among equal logits the first counts as larger.
#[must_use]
pub fn score(logits: &[Vec<f32>], labels: &[u32]) -> Score {
    let images = labels.len().max(1) as f64;
    let ranks = || logits.iter().zip(labels).map(|(logits, &label)| rank(logits, label as usize));
    let within = |most: usize| ranks().filter(|&rank| rank < most).count() as f64 * 100.0 / images;
    let loss: f64 = logits.iter().zip(labels).map(|(logits, &label)| cross_entropy(logits, label as usize)).sum();
    Score { top1: within(1), top5: within(5), loss: loss / images }
}

/// How many classes come before `label`.
fn rank(logits: &[f32], label: usize) -> usize {
    let before = |(class, logit): (usize, &f32)| *logit > logits[label] || (*logit == logits[label] && class < label);
    logits.iter().enumerate().filter(|&entry| before(entry)).count()
}

fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    sum.ln() - f64::from(logits[label] - largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first_class() {
        assert_eq!(first_largest(&[1, 3, 3, 2]), 1);
        let score = score(&[vec![0.0, 2.0, 2.0], vec![0.0, 2.0, 2.0]], &[1, 2]);
        assert_eq!((score.top1, score.top5), (50.0, 100.0));
    }

    #[test]
    fn even_logits_lose_the_logarithm_of_the_classes() {
        let score = score(&[vec![0.5; 10]], &[3]);
        assert!((score.loss - 10f64.ln()).abs() < 1e-12);
    }
}
