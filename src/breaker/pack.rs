//! PURE. Many numbers as little text, so that the whole state fits into one block of the file system.
//!
//! The alphabet is that of base64url: nothing in it needs escaping in JSON.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn letter(value: u64) -> char {
    // The mask keeps the index within the alphabet.
    char::from(ALPHABET[(value & 63) as usize])
}

fn value(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

/// How many letters a number takes.
fn width(number: u64) -> u64 {
    u64::from((u64::BITS - number.leading_zeros()).div_ceil(6).max(1))
}

/// Rows of numbers of any size: first the width of each column in letters, then the rows, six bits a letter.
pub fn rows<const N: usize>(rows: &[[u64; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let widths: [u64; N] = std::array::from_fn(|column| rows.iter().map(|row| width(row[column])).max().unwrap_or(1));
    let mut text: String = widths.into_iter().map(letter).collect();
    for (number, width) in rows.iter().flat_map(|row| row.iter().zip(widths)) {
        text.extend((0..width).rev().map(|place| letter(number >> (6 * place))));
    }
    text
}

/// The reverse of [`rows`]; `None` if the text is no such table.
pub fn unrows<const N: usize>(text: &str) -> Option<Vec<[u64; N]>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let values: Vec<u8> = text.bytes().map(value).collect::<Option<_>>()?;
    let (widths, body) = values.split_at_checked(N)?;
    let length: usize = widths.iter().map(|&width| usize::from(width)).sum();
    if body.is_empty() || length == 0 || body.len() % length != 0 {
        return None;
    }
    let mut table = Vec::new();
    for mut letters in body.chunks(length) {
        let mut row = [0; N];
        for (number, &width) in row.iter_mut().zip(widths) {
            let (digits, rest) = letters.split_at(width.into());
            *number = digits.iter().try_fold(0_u64, |sum, &digit| sum.checked_mul(64)?.checked_add(digit.into()))?;
            letters = rest;
        }
        table.push(row);
    }
    Some(table)
}

/// Small numbers below `base`, as many to two letters as fit: 12 of base 2, 6 of base 4, 5 of base 5. Zeros at the end are
/// left out.
pub fn digits(digits: impl IntoIterator<Item = u8>, base: u8) -> String {
    let digits: Vec<u8> = digits.into_iter().collect();
    let mut text = String::new();
    for pair in digits.chunks(to_a_pair(base)) {
        let packed = pair.iter().rev().fold(0, |packed, &digit| packed * u64::from(base) + u64::from(digit));
        text.extend([letter(packed), letter(packed >> 6)]);
    }
    text.truncate(text.trim_end_matches('A').len());
    text
}

/// The reverse of [`digits`], with zeros to fill the last letters; `None` if the text is not such a list.
pub fn undigits(text: &str, base: u8) -> Option<Vec<u8>> {
    let mut digits = Vec::new();
    let values: Vec<u8> = text.bytes().map(value).collect::<Option<_>>()?;
    for pair in values.chunks(2) {
        let mut packed = pair.iter().rev().fold(0_u16, |packed, &value| packed * 64 + u16::from(value));
        for _ in 0..to_a_pair(base) {
            digits.push(u8::try_from(packed % u16::from(base)).ok()?);
            packed /= u16::from(base);
        }
        if packed > 0 {
            return None;
        }
    }
    Some(digits)
}

/// How many digits of this base (at least 2) go into two letters.
fn to_a_pair(base: u8) -> usize {
    4096_u16.ilog(u16::from(base)) as usize
}

/// Gaps between things in a row, in Rice coding: of each gap the lower bits as they are, and before them the upper part in
/// unary, as so many ones and a zero. With as many lower bits as the average gap has, that is close to the least that any
/// text could take.
pub fn gaps(gaps: &[u64]) -> String {
    let sum = gaps.iter().fold(0_u64, |sum, &gap| sum.saturating_add(gap));
    let low = sum.checked_div(gaps.len() as u64).and_then(u64::checked_ilog2).unwrap_or(0);
    let bits = gaps.iter().flat_map(|&gap| {
        let upper = (0..gap >> low).map(|_| 1).chain([0]);
        upper.chain((0..low).map(move |bit| u8::from(gap >> bit & 1 == 1)))
    });
    let mut text = String::from(letter(low.into()));
    text.push_str(&digits(bits, 2));
    text
}

/// The reverse of [`gaps`], given how many there are; `None` if the text is not so many.
pub fn ungaps(text: &str, count: usize) -> Option<Vec<u64>> {
    let low = value(*text.as_bytes().first()?)?;
    // Zeros at the end were left out.
    let mut bits = undigits(&text[1..], 2)?.into_iter().chain(std::iter::repeat(0));
    let mut gap = || {
        let upper = bits.by_ref().take_while(|&bit| bit == 1).count() as u64;
        let lower = (0..low).zip(bits.by_ref()).fold(0, |lower, (place, bit)| lower + (u64::from(bit) << place));
        upper.checked_mul(1_u64.checked_shl(low.into())?)?.checked_add(lower)
    };
    (0..count).map(|_| gap()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers of every size: as many small ones as large ones.
    fn number() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0_u32..64).prop_map(|(number, shift)| number >> shift)
    }

    proptest! {
        #[test]
        fn rows_come_back(table in prop::collection::vec([number(), number(), number()], 0..50)) {
            prop_assert_eq!(unrows(&rows(&table)), Some(table));
        }

        #[test]
        fn digits_come_back(list in prop::collection::vec(0_u8..60, 0..50), base in 2_u8..=60) {
            let list: Vec<u8> = list.into_iter().map(|digit| digit % base).collect();
            let mut back = undigits(&digits(list.clone(), base), base).unwrap_or_default();
            let kept = list.len() - list.iter().rev().take_while(|&&digit| digit == 0).count();
            back.resize(list.len().max(back.len()), 0);
            prop_assert_eq!(&back[..kept], &list[..kept]);
            prop_assert!(back[kept..].iter().all(|&digit| digit == 0));
        }

        #[test]
        fn gaps_come_back(list in prop::collection::vec(number().prop_map(|gap| gap >> 16), 0..100)) {
            prop_assert_eq!(ungaps(&gaps(&list), list.len()), Some(list));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}|[A-Za-z0-9_-]{0,40}") {
            drop(unrows::<1>(&text));
            drop(unrows::<3>(&text));
            drop(undigits(&text, 5));
            drop(ungaps(&text, 5));
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["!", "B", "AB", "AA", "BBA", "BCAAAA", "a b"] {
            assert_eq!(unrows::<2>(text), None, "{text}");
        }
        assert_eq!(unrows::<1>("LPAAAAAAAAAA"), Some(vec![[15 << 60]]));
        assert_eq!(unrows::<1>("LQAAAAAAAAAA"), None, "more than 64 bits");
        assert_eq!(undigits("__", 5), None, "4095 is more than five digits of base 5");
        assert_eq!(undigits("!", 2), None);
        for text in ["", "!", "é", "_D", "/"] {
            assert_eq!(ungaps(text, 1), None, "{text}");
        }
    }

    #[test]
    fn gaps_take_little_more_than_they_must() {
        // 99 gaps of 35 bits in a century of milliseconds: 4110 bits for the times, less what their order need not say.
        let even = [31_854_545_454; 99];
        assert_eq!(gaps(&even).len(), 595);
    }
}
