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

/// Numbers of any size: five bits a letter, the sixth says that more follow. Small numbers are short.
pub fn numbers(numbers: impl IntoIterator<Item = u64>) -> String {
    let mut text = String::new();
    for mut number in numbers {
        while number >= 32 {
            text.push(letter(number & 31 | 32));
            number >>= 5;
        }
        text.push(letter(number));
    }
    text
}

/// The reverse of [`numbers`]; `None` if the text is not such a list.
pub fn unnumbers(text: &str) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    let (mut number, mut shift) = (0_u64, 0);
    for letter in text.bytes() {
        let bits = u64::from(value(letter)?);
        number |= (bits & 31).checked_shl(shift).filter(|part| part >> shift == bits & 31)?;
        shift += 5;
        if bits < 32 {
            numbers.push(number);
            (number, shift) = (0, 0);
        }
    }
    (shift == 0).then_some(numbers)
}

/// Numbers of `bits` bits each (1, 2 or 3), as many to a letter as fit. Zeros at the end are left out.
pub fn digits(digits: impl IntoIterator<Item = u8>, bits: u32) -> String {
    let mut text = String::new();
    let (mut packed, mut used) = (0, 0);
    for digit in digits {
        packed |= u64::from(digit) << used;
        used += bits;
        if used == 6 {
            text.push(letter(packed));
            (packed, used) = (0, 0);
        }
    }
    text.push(letter(packed));
    text.truncate(text.trim_end_matches('A').len());
    text
}

/// The reverse of [`digits`], with zeros to fill the last letter; `None` if the text is not such a list.
pub fn undigits(text: &str, bits: u32) -> Option<Vec<u8>> {
    let mut digits = Vec::with_capacity(text.len() * 6);
    for letter in text.bytes() {
        let packed = value(letter)?;
        digits.extend((0..6 / bits).map(|place| packed >> (place * bits) & ((1 << bits) - 1)));
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(list in prop::collection::vec(any::<u64>(), 0..50)) {
            prop_assert_eq!(unnumbers(&numbers(list.clone())), Some(list));
        }

        #[test]
        fn digits_come_back(list in prop::collection::vec(0_u8..8, 0..50), bits in 1_u32..=3) {
            let list: Vec<u8> = list.into_iter().map(|digit| digit & ((1 << bits) - 1)).collect();
            let mut back = undigits(&digits(list.clone(), bits), bits).unwrap_or_default();
            let kept = list.len() - list.iter().rev().take_while(|&&digit| digit == 0).count();
            back.resize(list.len().max(back.len()), 0);
            prop_assert_eq!(&back[..kept], &list[..kept]);
            prop_assert!(back[kept..].iter().all(|&digit| digit == 0));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            drop(unnumbers(&text));
            drop(undigits(&text, 3));
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["!", "g", "ggggggggggggggggggggB", "a b"] {
            assert_eq!(unnumbers(text), None, "{text}");
        }
    }
}
