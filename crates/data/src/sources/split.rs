//! How a set without parts is cut in two: by a rule that anybody can repeat.

use sha2::{Digest, Sha256};

/// One image in so many is for the test.
pub const TEST_SHARE: usize = 5;
/// Seed of the rule.
pub const SPLIT_SEED: u64 = 1;

/// Which of the images are to test with. Within each class the images are put in the order of
/// SHA-256("sphinx-split" ‖ seed ‖ name), and the first fifth of them, rounded down, is taken.
/// Images whose `group` is the same (a person's) stay together: then it is the groups that are put
/// in order.
pub(super) fn for_test(labels: &[u8], names: &[String], groups: Option<&[String]>) -> Vec<bool> {
    let mut test = vec![false; labels.len()];
    let key = |name: &str| -> [u8; 32] {
        let seed = SPLIT_SEED.to_le_bytes();
        Sha256::new()
            .chain_update(b"sphinx-split")
            .chain_update(seed)
            .chain_update(name)
            .finalize()
            .into()
    };
    if let Some(groups) = groups {
        let mut order: Vec<&String> = groups.iter().collect();
        order.sort_by_key(|group| key(group));
        order.dedup();
        let chosen = &order[..order.len() / TEST_SHARE];
        for (test, group) in test.iter_mut().zip(groups) {
            *test = chosen.contains(&group);
        }
        return test;
    }
    for class in 0..=u8::MAX {
        let members = (0..labels.len()).filter(|&index| labels[index] == class);
        let mut members: Vec<usize> = members.collect();
        members.sort_by_cached_key(|&index| key(&names[index]));
        for &index in &members[..members.len() / TEST_SHARE] {
            test[index] = true;
        }
    }
    test
}

/// What is said of it.
pub(super) fn note(unit: &str) -> String {
    format!(
        "no test split: a fifth of the {unit}, chosen by a hash of its name (seed {SPLIT_SEED}), is \
         kept for testing"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_each_class_is_for_the_test_whatever_the_order() {
        let names: Vec<String> = (0..30).map(|i| format!("{i}.png")).collect();
        let labels: Vec<u8> = (0..30).map(|i| u8::from(i >= 20)).collect();
        let test = for_test(&labels, &names, None);
        let count = |class: u8| (0..30).filter(|&i| test[i] && labels[i] == class).count();
        assert_eq!((count(0), count(1)), (4, 2));
        let (mut turned, mut turned_labels) = (names.clone(), labels.clone());
        turned.reverse();
        turned_labels.reverse();
        let mut again = for_test(&turned_labels, &turned, None);
        again.reverse();
        assert_eq!(test, again);
    }

    #[test]
    fn a_person_is_on_one_side() {
        let groups: Vec<String> = (0..40).map(|i| format!("person {}", i % 10)).collect();
        let names: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let test = for_test(&[0; 40], &names, Some(&groups));
        assert_eq!(test.iter().filter(|test| **test).count(), 8);
        assert!((0..30).all(|i| test[i] == test[i + 10]));
    }
}
