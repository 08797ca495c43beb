//! Mutated inputs near a corpus: the same seed and count give the same inputs everywhere, on the stable toolchain.

use std::fs;
use std::path::Path;

/// Fragments with a meaning to one of our parsers.
const DICTIONARY: [&str; 48] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "1e400",
    "-0",
    "0.5",
    "\n",
    "\r\n",
    "\t",
    "  ",
    "---\n",
    "...\n",
    "- ",
    "? ",
    ": ",
    "# ",
    "&a ",
    "*a",
    "<<: ",
    "|\n",
    ">-\n",
    "!!str ",
    "%YAML 1.2\n",
    "replicas: 2",
    "spec:",
    "metadata:",
    "kind: Deployment",
    "\u{feff}",
    "\u{202e}",
    "\0",
    "..",
    "/",
    "=",
    "[[route]]\n",
    "password=",
    "9999999999",
    "µs",
    "GiB",
];

/// A stream of mutated inputs.
pub struct Inputs {
    corpus: Vec<Vec<u8>>,
    random: Random,
}

/// A generator whose numbers depend only on the seed.
pub struct Random(pub u64);

impl Random {
    /// A number below `most`, which is not 0.
    pub fn below(&mut self, most: u64) -> u64 {
        // splitmix64, by Sebastiano Vigna.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}

impl Inputs {
    /// Mutations of the files in a directory.
    pub fn of(directory: &Path, seed: u64) -> Self {
        let mut files: Vec<_> =
            fs::read_dir(directory).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        let corpus: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).expect("a file")).collect();
        assert!(!corpus.is_empty(), "{} is empty", directory.display());
        Self { corpus, random: Random(seed) }
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.random.below(most.max(1) as u64)).unwrap_or(0)
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let to = (at + self.below(24)).min(input.len());
        match self.below(8) {
            0 => drop(input.drain(at..to)),
            1 => {
                let piece = DICTIONARY[self.below(DICTIONARY.len())].as_bytes().to_vec();
                input.splice(at..at, piece);
            }
            2 => {
                let piece = DICTIONARY[self.below(DICTIONARY.len())].as_bytes().to_vec();
                input.splice(at..to, piece);
            }
            3 if at < input.len() => input[at] ^= 1 << self.below(8),
            4 if at < input.len() => input[at] = u8::try_from(self.below(256)).unwrap_or(0),
            5 => {
                // A repeated piece of the input.
                let piece = input[at..to].to_vec();
                input.splice(at..at, piece);
            }
            6 => {
                // The end of another input.
                let other = self.below(self.corpus.len());
                let from = self.below(self.corpus[other].len() + 1);
                let piece = self.corpus[other][from..].to_vec();
                input.truncate(at);
                input.extend(piece);
            }
            _ => input.truncate(at),
        }
    }
}

impl Iterator for Inputs {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let first = self.below(self.corpus.len());
        let mut input = self.corpus[first].clone();
        // Huge files of the corpus have their own tests; here they would only be slow.
        input.truncate(1 << 16);
        for _ in 0..=self.below(6) {
            self.mutate(&mut input);
        }
        Some(input)
    }
}
