use sphinx_privacy::{Delta, PlanRequest, Target};

use super::*;

fn randomness() -> StepRandomness {
    StepRandomness::new([2; 32])
}

fn cut(batch: &[usize], count: u64, augmentation: Option<Augmentation>) -> Vec<Vec<Slot>> {
    blocks(batch, count, augmentation, 10_000, &randomness(), 5)
}

fn shown(block: &[Slot]) -> Vec<usize> {
    block.iter().filter(|slot| slot.filled).map(|slot| slot.view.example).collect()
}

fn sorted(mut values: Vec<usize>) -> Vec<usize> {
    values.sort_unstable();
    values
}

#[test]
fn the_number_of_blocks_does_not_tell_how_many_examples_were_drawn() {
    let examples: Vec<usize> = (0..3 * SLOTS).collect();
    for drawn in [0, 1, SLOTS - 1, SLOTS, SLOTS + 1, 2 * SLOTS, 3 * SLOTS] {
        let cut = cut(&examples[..drawn], 3, None);
        assert!(cut.len() == 3 && cut.iter().all(|block| block.len() == SLOTS));
        let all: Vec<usize> = cut.iter().flat_map(|block| shown(block)).collect();
        assert_eq!(sorted(all), examples[..drawn]);
        // As they are.
        assert!(cut.iter().flatten().all(|slot| slot.view == View::of(slot.view.example)));
    }
}

#[test]
fn copies_lie_a_stride_apart_and_the_first_is_unmoved() {
    let batch: Vec<usize> = (100..100 + 300).collect();
    for copies in [2, 8, 16] {
        let cut = cut(&batch, 3, Some(Augmentation { copies, shift: 2 }));
        let (copies, stride) = (copies as usize, SLOTS / copies as usize);
        assert_eq!(cut.len(), 3);
        let (mut moved, mut firsts) = (0, Vec::new());
        for block in &cut {
            assert_eq!(block.len(), SLOTS);
            firsts.extend(shown(&block[..stride]));
            for (at, slot) in block.iter().enumerate() {
                let first = block[at % stride];
                assert_eq!((slot.view.example, slot.filled), (first.view.example, first.filled));
                let view = slot.view;
                assert!(view.dx.abs() <= 2 && view.dy.abs() <= 2);
                assert!(at >= stride || view == View::of(view.example));
                moved += usize::from(view != View::of(view.example));
            }
        }
        assert_eq!(sorted(firsts), batch);
        // 24 of 25 offsets move, those of decoys too.
        let most = 3 * stride * (copies - 1);
        assert!(moved < most && moved > most * 9 / 10, "{moved} of {most}");
    }
}

/// Half of the places are taken, in every step others, each equally often.
#[test]
fn places_are_uniform_and_new_in_every_step() {
    let batch: Vec<usize> = (0..SLOTS).collect();
    let mut counts = vec![0u32; 2 * SLOTS];
    let mut first = vec![0u32; 8];
    for step in 0..400 {
        let cut = blocks(&batch, 2, None, SLOTS, &randomness(), step);
        for (at, slot) in cut.iter().flatten().enumerate() {
            counts[at] += u32::from(slot.filled);
            first[at * 8 / (2 * SLOTS)] += u32::from(slot.filled && slot.view.example == 0);
        }
    }
    // Deviation 10 of 200, and 6.6 of 50.
    assert!(counts.iter().all(|count| (140..260).contains(count)));
    assert!(first.iter().all(|count| (17..83).contains(count)), "{first:?}");
}

#[test]
fn slots_and_offsets_do_not_depend_on_how_many_others_there_are() {
    let augmentation = Some(Augmentation { copies: 4, shift: 1 });
    let batch: Vec<usize> = (0..40).collect();
    let (long, short) = (cut(&batch, 1, augmentation), cut(&batch[..39], 1, augmentation));
    let mut gone = 0;
    for (long, short) in long[0].iter().zip(&short[0]) {
        assert_eq!((long.view.dx, long.view.dy), (short.view.dx, short.view.dy));
        assert!(long == short || (long.view.example == 39 && !short.filled));
        gone += usize::from(long != short);
    }
    assert_eq!((gone, shown(&short[0]).len()), (4, 4 * 39));
}

/// Where nothing is shown something is computed, and not always the same.
#[test]
fn empty_places_hold_decoys_from_all_over_the_data() {
    let cut = cut(&[], 2, None);
    let mut decoys: Vec<usize> = cut.iter().flatten().map(|slot| slot.view.example).collect();
    assert!(cut.iter().flatten().all(|slot| !slot.filled));
    assert!(decoys.iter().all(|example| *example < 10_000));
    decoys.sort_unstable();
    decoys.dedup();
    // 4096 of 10 000 drawn with repetition: 3361 on average, deviation 24.
    assert!((3200..3500).contains(&decoys.len()), "{}", decoys.len());
}

#[test]
fn a_step_draws_the_same_alone_as_after_the_ones_before_it() {
    let target = Target::new(4.0, Delta::new(1e-5).unwrap()).unwrap();
    let request = PlanRequest {
        target,
        examples: 10_000,
        expected_batch: None,
        blocks: 1,
        copies: 1,
        epochs: 2.0,
    };
    let plan = PrivacyPlan::solve(&request).unwrap();
    for plan in [None, Some(&plan)] {
        let draw = |batches: &Batches, step| {
            let batch = batches.draw(&randomness(), step);
            let slots = blocks(&batch, 1, None, 10_000, &randomness(), step);
            (batch, slots)
        };
        let in_order = Batches::new(10_000, 1000, plan);
        let steps: Vec<_> = (0..=12).map(|step| draw(&in_order, step)).collect();
        for step in [0, 7, 12] {
            let alone = draw(&Batches::new(10_000, 1000, plan), step);
            assert!(alone == steps[step as usize], "step {step}");
        }
        assert!(steps[6].0 != steps[7].0 && steps[0].0 != steps[10].0);
    }
}

#[test]
fn every_example_comes_once_per_epoch_and_the_last_batch_is_smaller() {
    let batches = Batches::new(103, 25, None);
    let epoch = |epoch: u64| -> Vec<Vec<usize>> {
        (0..5).map(|step| batches.draw(&randomness(), 5 * epoch + step)).collect()
    };
    for number in 0..3 {
        let sizes: Vec<usize> = epoch(number).iter().map(Vec::len).collect();
        assert_eq!(sizes, [25, 25, 25, 25, 3]);
        assert_eq!(sorted(epoch(number).concat()), (0..103).collect::<Vec<_>>());
    }
    assert_ne!(epoch(0), epoch(1));
}

#[test]
fn persons_take_the_same_slots_however_many_images_they_have() {
    let owners: Vec<String> = (0..900u32)
        .flat_map(|person| vec![format!("{person:03}"); person as usize % 20 + 1])
        .collect();
    let of_person = |example: usize| owners[example].parse::<usize>().unwrap();
    let persons = Persons::new(&owners, 5).unwrap();
    let batch: Vec<usize> = (100..400).collect();
    let cut = person_blocks(&batch, 2, &persons, &randomness(), 5);
    assert!(cut.len() == 2 && cut.iter().all(|block| block.len() == SLOTS));
    let stride = SLOTS / 8;
    let mut seen = Vec::new();
    for block in &cut {
        for place in 0..stride {
            let slots: Vec<Slot> = (0..8).map(|at| block[at * stride + place]).collect();
            let person = of_person(slots[0].view.example);
            assert!(
                slots.iter().all(|slot| of_person(slot.view.example) == person),
                "one person's"
            );
            let filled = slots.iter().filter(|slot| slot.filled).count();
            if filled > 0 {
                assert_eq!(filled, (person % 20 + 1).min(5));
                seen.push(person);
            }
        }
    }
    assert_eq!(sorted(seen), batch);
    // Who else has how many images moves nobody.
    let fewer = Persons::new(&owners[..owners.len() - 5], 5).unwrap();
    let places = |persons: &Persons| -> Vec<bool> {
        let cut = person_blocks(&batch, 2, persons, &randomness(), 5);
        cut.iter().flatten().map(|slot| slot.filled).collect()
    };
    assert_eq!(fewer.len(), persons.len());
    assert_eq!(places(&fewer), places(&persons));
}
