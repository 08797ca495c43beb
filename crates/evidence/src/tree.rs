//! The Merkle tree of RFC 6962 with SHA-256: root, proofs of inclusion and consistency, and their verification (RFC 9162).

use conductor_core::Digest;
use conductor_crypto::{sha256, sha256_of_parts};

/// The hash of a leaf.
pub fn leaf(bytes: &[u8]) -> Digest {
    sha256_of_parts(&[&[0], bytes])
}

fn node(left: &Digest, right: &Digest) -> Digest {
    sha256_of_parts(&[&[1], &left.0, &right.0])
}

/// The largest power of two below `size`, which must be greater than 1: where RFC 6962 splits a tree.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

/// The root of a tree of these leaves.
pub fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => sha256(b""),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(split(more.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The roots of the complete subtrees of a tree that grows: all that is needed to append a leaf and to compute the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Largest first; one for each bit that is set in `size`.
    peaks: Vec<Digest>,
}

impl Frontier {
    /// A frontier from its parts; `None` if they do not belong together.
    pub fn of(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest first.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Appends the hash of a leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        // Each trailing one of the size is a subtree as large as the one that was just completed.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// The root of the tree.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return sha256(b"") };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

/// The proof that the leaf `index` is in the tree of these leaves; `None` if there is no such leaf.
pub fn inclusion(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut part, mut index, mut proof) = (leaves, index, Vec::new());
    while part.len() > 1 {
        let at = split(part.len());
        let (left, right) = part.split_at(at);
        if index < at {
            proof.push(root(right));
            part = left;
        } else {
            proof.push(root(left));
            (part, index) = (right, index - at);
        }
    }
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows that `leaf` is number `index` of the tree of this size and root.
pub fn includes(leaf: Digest, index: u64, size: u64, proof: &[Digest], wanted: &Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for step in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(step, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *wanted
}

/// A size of a tree and its root then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The number of leaves.
    pub size: u64,
    /// The root.
    pub root: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test leaves and roots of RFC 6962's reference implementation.
    const LEAVES: [&[u8]; 8] = [
        b"",
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn the_known_roots_come_out_at_once_and_leaf_by_leaf() {
        let leaves: Vec<Digest> = LEAVES.iter().map(|bytes| leaf(bytes)).collect();
        let mut frontier = Frontier::default();
        for (size, wanted) in ROOTS.iter().enumerate() {
            assert_eq!(root(&leaves[..size]).to_string(), *wanted, "{size}");
            assert_eq!(frontier.root().to_string(), *wanted, "{size}");
            assert_eq!(Frontier::of(frontier.size(), frontier.peaks().to_vec()), Some(frontier.clone()));
            if let Some(next) = leaves.get(size) {
                frontier.push(*next);
            }
        }
        assert_eq!(Frontier::of(3, vec![Digest([0; 32])]), None);
    }

    fn numbered(size: usize) -> Vec<Digest> {
        (0..size).map(|number| leaf(&number.to_le_bytes())).collect()
    }

    #[test]
    fn a_proof_of_inclusion_holds_for_its_leaf_place_and_tree_alone() {
        for size in 1..=33 {
            let leaves = numbered(size);
            let (all, many) = (root(&leaves), size as u64);
            for index in 0..size {
                let proof = inclusion(&leaves, index).unwrap();
                assert!(includes(leaves[index], index as u64, many, &proof, &all), "{index} of {size}");
                assert!(!includes(leaf(b"else"), index as u64, many, &proof, &all));
                assert!(!includes(leaves[index], index as u64 + 1, many, &proof, &all), "{index} of {size}");
                assert!(!includes(leaves[index], index as u64, many, &proof, &leaf(b"root")));
                let longer: Vec<Digest> = proof.iter().copied().chain([all]).collect();
                assert!(!includes(leaves[index], index as u64, many, &longer, &all));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!includes(leaves[index], index as u64, many, shorter, &all));
                }
            }
            assert_eq!(inclusion(&leaves, size), None);
        }
    }
}
