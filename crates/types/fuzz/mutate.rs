//! A mutator with a fixed seed, for running fuzz checks as ordinary tests.

/// xorshift64*: small, seeded, the same everywhere.
pub struct Rng(u64);

impl Rng {
    /// `seed` must not be 0.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }

    /// `bytes` with one to four changes of the kinds that break decoders.
    pub fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(out.len() + 1);
            match self.below(7) {
                0 => out.truncate(at),
                1 => out.insert(at, self.below(256) as u8),
                2 if at < out.len() => {
                    out.remove(at);
                }
                // Lengths and list prefixes.
                3 if at < out.len() => {
                    let edges = [
                        0x00, 0x7f, 0x80, 0x81, 0xb7, 0xb8, 0xbf, 0xc0, 0xf7, 0xf8, 0xff,
                    ];
                    out[at] = edges[self.below(edges.len())];
                }
                4 if at < out.len() => out[at] = out[at].wrapping_add(1),
                5 => {
                    let end = at + self.below(out.len() - at + 1);
                    let piece = out[at..end].to_vec();
                    out.splice(at..at, piece);
                }
                _ if at < out.len() => out[at] ^= 1 << self.below(8),
                _ => {}
            }
        }
        out
    }
}

/// Runs `check` over every seed as it is and `rounds` mutations of each.
pub fn run(seeds: &[Vec<u8>], rounds: usize, check: fn(&[u8])) {
    let mut rng = Rng::new(0x00c0_47ad_0000_0001);
    for seed in seeds {
        check(seed);
        for _ in 0..rounds {
            check(&rng.mutate(seed));
        }
    }
}
