//! Chance that repeats itself, and identifiers that look drawn but never collide.

/// Digits of identifiers.
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Has no factor in common with 36, so multiplying by it permutes the numbers
/// below any power of 36.
const SPREAD: u128 = 6_364_136_223_846_793_005;

pub(super) struct Random {
    chance: fastrand::Rng,
    start: u128,
    drawn: u128,
}

impl Random {
    /// `stream` keeps apart what must not follow from one another.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed.wrapping_mul(1_000_003) ^ stream);
        Self {
            start: u128::from(chance.u64(..)),
            chance,
            drawn: 0,
        }
    }

    /// A number from `from` up to but not including `to`.
    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        self.chance.i64(from..to)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.chance.usize(..limit)
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// An identifier of so many lower-case letters and digits, unlike any other
    /// of that length.
    pub(super) fn id(&mut self, length: u32) -> String {
        self.drawn += 1;
        let modulus = 36_u128.pow(length.min(22));
        let mut number = ((self.start + self.drawn) % modulus * (SPREAD % modulus)) % modulus;
        let mut digits = Vec::new();
        for _ in 0..length {
            digits.push(DIGITS[usize::try_from(number % 36).unwrap_or_default()]);
            number /= 36;
        }
        digits.reverse();
        String::from_utf8_lossy(&digits).into_owned()
    }

    /// An identifier as Opsgenie writes them: a random UUID.
    pub(super) fn uuid(&mut self) -> String {
        let [high, low] = [self.chance.u64(..), self.chance.u64(..)];
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff,
        )
    }

    /// An identifier as PagerDuty writes them.
    pub(super) fn upper_id(&mut self, prefix: &str, length: u32) -> String {
        format!("{prefix}{}", self.id(length).to_uppercase())
    }
}
