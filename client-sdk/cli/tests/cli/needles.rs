//! What must not be found anywhere, in the forms in which it could have got there.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Bytes by which a needle is looked up; the rest is compared.
const KEY: usize = 8;
/// Bytes of a secret that are looked for at once: what is written anywhere holds such a piece at
/// some place.
const PIECE: usize = 16;

/// Secrets in all their forms.
#[derive(Default)]
pub struct Needles {
    by_start: HashMap<[u8; KEY], Vec<(Vec<u8>, String)>>,
}

impl Needles {
    /// Looks for the pieces of some bytes: as they are, in hexadecimal, in base64 at each of its
    /// offsets, and as decimal numbers in a list.
    pub fn bytes(&mut self, name: &str, secret: &[u8]) {
        for piece in secret.chunks_exact(PIECE) {
            // Blank pieces are everywhere.
            if piece.iter().filter(|&&byte| byte != piece[0]).count() < PIECE / 2 {
                continue;
            }
            self.add(name, "raw", piece.to_vec());
            let hex = hex::encode(piece);
            self.add(name, "hexadecimal", hex.to_uppercase().into());
            self.add(name, "hexadecimal", hex.into());
            for (skipped, kept) in [(0, 15), (2, 12), (1, 15)] {
                // Base64 of whole triples is the same in whatever it stands.
                let triples = &piece[skipped..skipped + kept.min(PIECE - skipped) / 3 * 3];
                self.add(name, "base64", STANDARD.encode(triples).into());
                self.add(name, "base64", URL_SAFE_NO_PAD.encode(triples).into());
            }
            for separator in [", ", ",", " "] {
                let numbers: Vec<_> = piece.iter().map(ToString::to_string).collect();
                self.add(name, "decimal", numbers.join(separator).into());
            }
        }
    }

    /// Looks for a number as text, unless it is too short: 0.125 is everywhere. Says whether.
    pub fn number(&mut self, name: &str, number: f64) -> bool {
        let text = number.to_string();
        let long = text.len() > KEY;
        if long {
            self.add(name, "decimal", text.into());
        }
        long
    }

    /// Looks for runs of four numbers by their bytes.
    pub fn floats(&mut self, name: &str, numbers: &[f32]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.bytes(name, &bytes);
    }

    fn add(&mut self, name: &str, form: &str, needle: Vec<u8>) {
        let start = needle[..KEY].try_into().unwrap();
        let known = self.by_start.entry(start).or_default();
        if known.iter().all(|(other, _)| *other != needle) {
            known.push((needle, format!("{name}, {form}")));
        }
    }

    /// The names of those that are in some bytes.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for (at, start) in bytes.windows(KEY).enumerate() {
            let start: &[u8; KEY] = start.try_into().unwrap();
            for (needle, name) in self.by_start.get(start).into_iter().flatten() {
                if bytes[at..].starts_with(needle) {
                    found.push(name.clone());
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// What is found in all files below a directory, each with its file, and how many bytes those
    /// have.
    pub fn found_below(&self, directory: &Path) -> (Vec<String>, u64) {
        let (mut found, mut looked_at) = (Vec::new(), 0);
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let (below, bytes) = if path.is_dir() {
                self.found_below(&path)
            } else {
                let bytes = fs::read(&path).unwrap();
                (self.found_in(&bytes), bytes.len() as u64)
            };
            found.extend(below.into_iter().map(|name| format!("{} in {}", name, path.display())));
            looked_at += bytes;
        }
        (found, looked_at)
    }
}
