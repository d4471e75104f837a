use super::*;
use crate::commit::parts;

fn header() -> Commit {
    Commit { step: 3, base_version: 9, ..Commit::default() }
}

fn gradient() -> Vec<Vec<f32>> {
    vec![vec![1.0; 140_000], vec![0.5, -0.5]]
}

fn sent() -> Vec<Part> {
    let parts = parts(&header(), &gradient(), Bytes::from_static(b"sealed"));
    parts.into_iter().filter_map(|chunk| chunk.part).collect()
}

fn read(header: &Commit, parts: Vec<Part>) -> Result<ReceivedUpdate, CommitError> {
    let mut reader = CommitReader::new(header, vec![140_000, 2]);
    for part in parts {
        if let Part::Sha256(hash) = &part {
            return reader.finish(hash);
        }
        reader.take(part)?;
    }
    unreachable!("every commit here ends with its hash")
}

#[test]
fn what_is_sent_is_received() {
    let update = read(&header(), sent()).unwrap();
    assert_eq!((update.gradient, &update.sealed[..]), (gradient(), &b"sealed"[..]));
}

#[test]
fn parts_lost_doubled_or_swapped_are_a_broken_stream() {
    let whole = sent();
    assert_eq!(whole.len(), 5);
    for index in 0..whole.len() - 1 {
        let (mut lost, mut doubled, mut swapped) = (whole.clone(), whole.clone(), whole.clone());
        lost.remove(index);
        doubled.insert(index, whole[index].clone());
        swapped.swap(index, (index + 1) % 4);
        for parts in [lost, doubled, swapped] {
            let error = read(&header(), parts).unwrap_err();
            assert!(error.is_broken_stream(), "{index}: {error}");
        }
    }
}

/// A header that was altered on its way would be another step, or another model's.
#[test]
fn the_hash_covers_the_header_and_every_field() {
    for header in [
        Commit { step: 4, ..header() },
        Commit { base_version: 8, ..header() },
        Commit { adopt_average: true, ..header() },
        Commit { chain: Bytes::from_static(&[1; 32]), ..header() },
    ] {
        assert!(matches!(read(&header, sent()), Err(CommitError::Hash { .. })));
    }
    let mut parts = sent();
    if let Part::Gradient(gradient) = &mut parts[2] {
        gradient.stage = 0;
        gradient.offset = 140_000;
    }
    assert!(matches!(read(&header(), parts), Err(CommitError::GradientPart { .. })));
    let mut parts = sent();
    parts[3] = Part::Sealed(Bytes::from_static(b"Sealed"));
    assert!(matches!(read(&header(), parts), Err(CommitError::Hash { .. })));
}

#[test]
fn rejects_what_does_not_fit_the_network() {
    let commit = |gradient: &[Vec<f32>], sealed: Vec<u8>| {
        let parts = parts(&header(), gradient, sealed.into());
        read(&header(), parts.into_iter().filter_map(|chunk| chunk.part).collect()).unwrap_err()
    };
    let short = commit(&[vec![1.0; 10], vec![1.0; 2]], vec![]);
    let expected = CommitError::GradientIncomplete { stage: 0, got: 10, expected: 140_000 };
    assert_eq!(short, expected);
    let long = commit(&[vec![], vec![1.0; 3]], vec![]);
    assert!(matches!(long, CommitError::GradientPart { stage: 1, total: 2, .. }), "{long}");
    let more = commit(&[vec![], vec![], vec![1.0]], vec![]);
    assert_eq!(more, CommitError::Stage { got: 2, stages: 2 });
    let huge = commit(&gradient(), vec![0; MAX_SEALED + 1]);
    assert!(matches!(huge, CommitError::SealedLength { limit: MAX_SEALED, .. }), "{huge}");
    for error in [short, long, more, huge] {
        assert!(!error.is_broken_stream(), "{error}");
    }
    // A commit whose sender left the state out, hash and all.
    let mut parts = vec![sent()[0].clone(), sent()[1].clone(), sent()[2].clone()];
    let mut hash = CommitHash::new(&header());
    for part in &parts {
        hash.update(&CommitChunk { part: Some(part.clone()) });
    }
    parts.push(Part::Sha256(hash.finish().to_vec().into()));
    assert_eq!(read(&header(), parts).unwrap_err(), CommitError::NoSealed);
}
