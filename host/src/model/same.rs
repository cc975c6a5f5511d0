//! Compares short stretches of bytes.

/// Whether two stretches are the same. The names and values of records are a dozen bytes each: to call for a comparison, as
/// `==` does where it does not know how long they are, takes longer than to compare them.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        0..=3 => a.iter().eq(b),
        4..=7 => ends::<4>(a, b),
        8..=15 => ends::<8>(a, b),
        16..=32 => ends::<16>(a, b),
        _ => a == b,
    }
}

/// Whether the first and the last `N` bytes are the same: together all of them, when there are at most twice as many.
#[inline]
fn ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
    a.first_chunk::<N>() == b.first_chunk() && a.last_chunk::<N>() == b.last_chunk()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        for len in 0..70 {
            let bytes: Vec<u8> = (0..len).collect();
            assert!(same(&bytes, &bytes.clone()));
            assert!(!same(&bytes, &[&bytes[..], &[0]].concat()));
            for at in 0..bytes.len() {
                let mut other = bytes.clone();
                other[at] ^= 1;
                assert!(!same(&bytes, &other), "{at} of {len}");
            }
        }
    }
}
