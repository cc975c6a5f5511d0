//! Salesforce ids: 15 case-sensitive base-62 characters, and the 18-character form with its case checksum.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECK: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
/// Records take every third number, so that an id between two others can be one that never existed.
const STRIDE: u64 = 3;

/// The three checksum characters of a 15-character id.
fn checksum(id: &[u8; 15]) -> [u8; 3] {
    let mut out = [b'A'; 3];
    for (group, slot) in id.as_chunks::<5>().0.iter().zip(&mut out) {
        let bits = group
            .iter()
            .enumerate()
            .filter(|(_, c)| c.is_ascii_uppercase())
            .fold(0_usize, |bits, (i, _)| bits | 1 << i);
        *slot = CHECK[bits & 31];
    }
    out
}

/// The 18-character form of an id of 15 or 18 characters; none if it is not an id or its checksum is wrong.
pub fn canonical(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if !bytes.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let short: &[u8; 15] = bytes.first_chunk()?;
    let check = checksum(short);
    match bytes.len() {
        15 => Some(format!("{text}{}", String::from_utf8_lossy(&check))),
        18 if bytes[15..].eq_ignore_ascii_case(&check) => {
            Some(format!("{}{}", &text[..15], String::from_utf8_lossy(&check)))
        }
        _ => None,
    }
}

/// How the ids of one object are numbered: key prefix, pod and a first number; they grow with the row number.
#[derive(Debug, Clone, Copy)]
pub struct Numbering {
    prefix: [u8; 3],
    pod: [u8; 2],
    base: u64,
    salt: u64,
}

impl Numbering {
    /// The numbering of the object with this three-character key prefix in the org with this seed.
    pub fn new(prefix: &str, seed: u64) -> Numbering {
        let mut three = *b"000";
        for (slot, byte) in three.iter_mut().zip(prefix.bytes()) {
            *slot = byte;
        }
        let dice = super::make::mix(seed, 0x1d5);
        let salt = super::make::mix(
            dice,
            u64::from(three[0]) << 16 | u64::from(three[1]) << 8 | u64::from(three[2]),
        );
        // Two characters name the pod, as they do in a real org; the first number differs from object to object.
        let pod = [DIGITS[(dice % 62) as usize], DIGITS[(dice / 62 % 62) as usize]];
        Numbering { prefix: three, pod, base: 0x00ab_cdef + salt % 90_000_000, salt }
    }

    /// The 18 characters of the id of a row.
    pub fn bytes(&self, row: u32) -> [u8; 18] {
        self.number(
            self.base
                + u64::from(row) * STRIDE
                + super::make::mix(self.salt, u64::from(row)) % STRIDE,
        )
    }

    /// The 18 characters of the id with this number.
    pub fn number(&self, mut number: u64) -> [u8; 18] {
        let mut short = *b"000000000000000";
        short[..3].copy_from_slice(&self.prefix);
        short[3..5].copy_from_slice(&self.pod);
        for slot in short[6..].iter_mut().rev() {
            *slot = DIGITS[(number % 62) as usize];
            number /= 62;
        }
        let mut out = [0; 18];
        out[..15].copy_from_slice(&short);
        out[15..].copy_from_slice(&checksum(&short));
        out
    }

    /// The id of a row as text.
    pub fn id(&self, row: u32) -> String {
        text(&self.bytes(row)).to_owned()
    }

    /// The row that an id of 15 or 18 characters belongs to, if it could be one of this object's.
    pub fn row(&self, id: &str) -> Option<u32> {
        let short = id.as_bytes().get(..15)?;
        let mut number: u64 = 0;
        for byte in &short[6..] {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'A'..=b'Z' => byte - b'A' + 10,
                b'a'..=b'z' => byte - b'a' + 36,
                _ => return None,
            };
            number = number * 62 + u64::from(digit);
        }
        let row = u32::try_from(number.checked_sub(self.base)? / STRIDE).ok()?;
        (&self.bytes(row)[..15] == short).then_some(row)
    }

    /// How many of the first `rows` ids sort before this 18-character id, and the row that has exactly this id.
    pub fn locate(&self, id: &str, rows: u32) -> (u32, Option<u32>) {
        let (mut low, mut high) = (0, rows);
        let key = id.as_bytes();
        let key = &key[..key.len().min(15)];
        while low < high {
            let middle = low + (high - low) / 2;
            if &self.bytes(middle)[..15] < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let exact = (low < rows && &self.bytes(low)[..15] == key).then_some(low);
        (low, exact)
    }
}

/// The text of id bytes, which are ASCII by construction.
pub fn text(bytes: &[u8; 18]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn checksums_match_recorded_ids() {
        for id in ["0034C00000VaYfKQAV", "012000000000000AAA"] {
            assert_eq!(canonical(&id[..15]).as_deref(), Some(id));
            assert_eq!(canonical(id).as_deref(), Some(id));
        }
        assert_eq!(canonical("0034C00000VaYfKQAA"), None);
        assert_eq!(canonical("0034c00000VaYfKQAV"), None);
        assert_eq!(canonical("somethingwonky"), None);
        assert_eq!(canonical("0034C00000VaYf-"), None);
        assert_eq!(canonical("ééééééééé"), None);
    }

    proptest! {
        #[test]
        fn ids_grow_with_the_row_and_are_found_again(seed: u64, row in 0_u32..3_000_000, step in 1_u32..1000) {
            let ids = Numbering::new("003", seed);
            let (a, b) = (ids.id(row), ids.id(row + step));
            prop_assert!(a < b);
            prop_assert_eq!(canonical(&a[..15]), Some(a.clone()));
            prop_assert_eq!(ids.locate(&a, row + step + 1), (row, Some(row)));
            prop_assert_eq!(ids.locate(&b, row + step), (row + step, None));
            prop_assert_eq!(ids.row(&a), Some(row));
        }
    }
}
