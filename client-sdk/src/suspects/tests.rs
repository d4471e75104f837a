use sphinx_proto::KeyId;

use super::*;

fn suspect(stage: usize) -> Suspect {
    let (model, key) = (ModelId::parse("digits").unwrap(), KeyId::parse("mine").unwrap());
    Suspect::now((&model, &key, &[0xab; 16]), 7, stage, "recognition")
}

#[test]
fn a_mark_lasts_until_it_is_cleared_and_the_first_one_counts() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("suspects/default");
    let (suspects, model) = (Suspects::new(directory.clone()), ModelId::parse("digits").unwrap());
    assert_eq!((suspects.find(&model).unwrap(), suspects.list().unwrap()), (None, vec![]));
    assert!(!suspects.clear(&model).unwrap());
    suspects.mark(&suspect(2)).unwrap();
    suspects.mark(&suspect(0)).unwrap();
    // Another process.
    let others = Suspects::new(directory);
    let found = others.find(&model).unwrap().unwrap();
    assert_eq!((found.stage, found.version, &*found.phase), (2, 7, "recognition"));
    assert_eq!(found.incarnation, "ab".repeat(16));
    assert_eq!(others.list().unwrap(), [found]);
    let refused = others.admit(&model).unwrap_err().to_string();
    assert!(
        refused.contains("version 7 wrongly (stage 2, recognition), under key mine"),
        "{refused}"
    );
    assert!(others.admit(&ModelId::parse("digits2").unwrap()).is_ok());
    assert!(suspects.clear(&model).unwrap());
    assert_eq!(others.find(&model).unwrap(), None);
}

#[test]
fn rejects_models_whose_mark_cannot_be_read() {
    let home = tempfile::tempdir().unwrap();
    let (suspects, model) =
        (Suspects::new(home.path().to_owned()), ModelId::parse("digits").unwrap());
    fs::write(home.path().join("digits.json"), "{\"model\": \"dig").unwrap();
    assert!(matches!(suspects.admit(&model), Err(MemoryError::Damaged { .. })));
    assert!(suspects.clear(&model).unwrap());
    assert!(suspects.admit(&model).is_ok());
}
