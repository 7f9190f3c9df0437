//! RSA keys whose private part can be computed from the public one: those of a library that made its primes as powers (ROCA, CVE-2017-15361;
//! Nemec et al., "The Return of Coppersmith's Attack", CCS 2017, §5). Such a modulus is a power of 65,537 to every small prime; of other moduli one in a hundred million is.

/// The odd primes up to 167, which divide the modulus of every size that the library made.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137,
    139, 149, 151, 157, 163, 167,
];

/// Whether a modulus, in big-endian bytes, has the mark of that library.
pub(super) fn is_marked(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| is_power(modulus.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime), *prime))
}

/// Whether `rest` is 65,537 to some power, modulo the prime.
fn is_power(rest: u32, prime: u32) -> bool {
    let generator = 65_537 % prime;
    let mut power = 1;
    (0..prime).any(|_| {
        power = power * generator % prime;
        power == rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_told_from_others() {
        // 65,537 is 10 modulo 11, whose powers are 10 and 1.
        assert_eq!((0..11).filter(|rest| is_power(*rest, 11)).collect::<Vec<_>>(), [1, 10]);
        // 65,537 to the third power, and its neighbour.
        assert!(is_marked(&281_487_861_809_153_u64.to_be_bytes()));
        assert!(!is_marked(&281_487_861_809_154_u64.to_be_bytes()));
        assert!(!is_marked(&[]));
    }
}
