//! Tables that fit a narrow terminal: large numbers with a letter, names by their ends, and at last fewer columns.

use super::figures::short;

/// Longest name in the first column of a table that has to shrink, in characters.
const NAME: usize = 24;

/// A table as titles and rows of cells.
pub(super) type Cells = (Vec<String>, Vec<Vec<String>>);

/// The table in at most `width` columns of text, if two columns are not too wide, and the titles of those that were left out.
/// The first column and the last one stay.
pub(super) fn fitted((mut titles, mut rows): Cells, width: usize) -> (Cells, Vec<String>) {
    let mut left_out = vec![];
    if natural(&titles, &rows) > width {
        for row in &mut rows {
            row.iter_mut().skip(1).for_each(abbreviate);
            if let Some(name) = row.first_mut() {
                *name = ending(name);
            }
        }
    }
    while natural(&titles, &rows) > width && titles.len() > 2 {
        let at = titles.len() - 2;
        left_out.push(titles.remove(at));
        rows.iter_mut().for_each(|row| drop(row.remove(at)));
    }
    left_out.reverse();
    ((titles, rows), left_out)
}

/// Characters from the left to the right edge of the table: cells as wide as their column's widest, three blanks between.
fn natural(titles: &[String], rows: &[Vec<String>]) -> usize {
    let wide = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([titles[at].chars().count()]).max().unwrap_or(0) + 3
    };
    (0..titles.len()).map(wide).sum()
}

/// A whole number of more than five digits in three of them.
fn abbreviate(cell: &mut String) {
    let digits: String = cell.chars().filter(|letter| *letter != ',').collect();
    if digits.len() > 5
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(number) = digits.parse::<f64>()
    {
        *cell = short(number);
    }
}

/// The end of a name that is long.
fn ending(name: &str) -> String {
    let count = name.chars().count();
    if count <= NAME {
        return name.to_string();
    }
    std::iter::once('…').chain(name.chars().skip(count + 1 - NAME)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shrinks_without_breaking_a_number() {
        let titles = ["layer", "kind", "spikes", "hops", "µJ"].map(String::from).to_vec();
        let row = ["patch_embed.block.0.attention", "neurons", "1,234,567", "12,345", "0.5"].map(String::from).to_vec();
        let wide = (titles, vec![row]);
        assert_eq!(fitted(wide.clone(), 200), (wide.clone(), vec![]));
        let ((titles, rows), left_out) = fitted(wide.clone(), 64);
        assert_eq!(
            rows[0],
            ["…ed.block.0.attention", "neurons", "1.23 M", "12,345", "0.5"].map(|cell| {
                if cell.starts_with('…') { ending("patch_embed.block.0.attention") } else { cell.to_string() }
            })
        );
        assert!(left_out.is_empty() && titles.len() == 5 && natural(&titles, &rows) <= 64);
        let ((titles, _), left_out) = fitted(wide, 52);
        assert_eq!((titles.last().map(String::as_str), left_out), (Some("µJ"), vec!["hops".to_string()]));
    }
}
