//! Products of several blocks, and what the words of a product are.

use sphinx_linalg::{Seed, expand_mask};
use sphinx_proto::v1::{
    CreateModelRequest, Dense, Direction, Evaluate, InputRows, OpenSession, Shape, TrainRequest,
    layer::Kind, train_request::Part,
};
use tonic::Code;

use crate::common::{assert_refused, creation, network_of, start, start_with_model};
use crate::talk::{
    INPUTS, POLYNOMIAL, Product, SEED, Talk, announcement, evaluation, noise, opening,
};

/// The body of a row for a block.
fn body(row: usize, block: usize) -> Vec<u8> {
    noise(POLYNOMIAL, (16 * row + block) as u8)
}

/// An evaluation of the first stage on rows with the bodies of `blocks`, in chunks of some rows.
fn of_blocks(blocks: &[usize], chunk: usize) -> Vec<Part> {
    let call = announcement(0, Direction::Forward);
    let mut parts = vec![Part::Evaluate(Evaluate { blocks: blocks.len() as u32, ..call })];
    for first in (0..INPUTS[0]).step_by(chunk) {
        let rows = first..INPUTS[0].min(first + chunk);
        let seeds: Vec<u8> = rows.clone().flat_map(|row| noise(SEED, row as u8)).collect();
        let bodies = rows.flat_map(|row| blocks.iter().flat_map(move |&block| body(row, block)));
        let bodies: Vec<u8> = bodies.collect();
        let (seeds, bodies) = (seeds.into(), bodies.into());
        parts.push(Part::Input(InputRows { first_row: first as u32, seeds, bodies }));
    }
    parts
}

async fn product(talk: &mut Talk, parts: Vec<Part>) -> Product {
    for part in parts {
        talk.send(part).await;
    }
    talk.product().await.unwrap()
}

#[tokio::test]
async fn several_blocks_at_once_are_the_blocks_one_by_one() {
    let trainer = start_with_model(|_| ()).await;
    let mut talk = Talk::open(&trainer, 1).await;
    for (blocks, chunk) in [(1, 36), (2, 1), (3, 7), (16, 10)] {
        let all: Vec<usize> = (0..blocks).collect();
        let together = product(&mut talk, of_blocks(&all, chunk)).await;
        let together = together.rows();
        for block in all {
            let alone = product(&mut talk, of_blocks(&[block], 10)).await;
            let alone = alone.rows();
            assert_eq!(alone.len(), together.len());
            for ((row, mask, body), (of, shared, bodies)) in alone.iter().zip(&together) {
                assert!(row == of && mask == shared, "row {row} of block {block} of {blocks}");
                assert_eq!(bodies.len(), blocks * POLYNOMIAL);
                assert!(*body == &bodies[block * POLYNOMIAL..][..POLYNOMIAL]);
            }
        }
    }
}

/// No bit is lost on the way: only then can a product be checked.
#[tokio::test]
async fn results_are_the_products_of_whole_words() {
    let trainer = start_with_model(|_| ()).await;
    let mut talk = Talk::open(&trainer, 1).await;
    talk.commit(0, 0, 1).await.unwrap();
    let got = product(&mut talk, of_blocks(&[0, 5], 36)).await;
    let words = |bytes: &[u8]| -> Vec<u32> {
        // A plane of high and one of low bytes: four bytes a word are one plane.
        bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    };
    let inputs: Vec<Vec<u32>> = (0..INPUTS[0])
        .map(|row| {
            let mut mask = vec![0u32; 2048];
            expand_mask(Seed(noise(SEED, row as u8).try_into().unwrap()), &mut mask);
            [mask, words(&body(row, 0)), words(&body(row, 5))].concat()
        })
        .collect();
    let integers = talk.mirror.integers();
    let rows = got.rows();
    for group in integers[0].forward.map.groups() {
        for patch in group.patches.iter() {
            for (index, &output) in patch.scatter.iter().enumerate() {
                let mut expected = vec![0u32; 3 * 2048];
                for (tap, &input) in patch.gather.iter().enumerate() {
                    let weight = group.weights[index * group.taps + tap].cast_unsigned();
                    let row = expected.iter_mut().zip(&inputs[input as usize]);
                    row.for_each(|(sum, word)| *sum = sum.wrapping_add(weight.wrapping_mul(*word)));
                }
                let (number, mask, bodies) = rows[output as usize];
                assert_eq!(number, output);
                assert!(words(&[mask, bodies].concat()) == expected, "row {output}");
            }
        }
    }
}

#[tokio::test]
async fn rejects_more_blocks_than_share_a_mask() {
    let trainer = start_with_model(|_| ()).await;
    for blocks in [17, u32::MAX] {
        let call = Evaluate { blocks, ..announcement(0, Direction::Forward) };
        let status = Talk::open(&trainer, 1).await.refusal([Part::Evaluate(call)]).await;
        let words = format!("{blocks} blocks share a mask, one evaluation takes at most 16");
        assert_refused(&status, Code::InvalidArgument, &words);
    }
    // None counts as one.
    let mut talk = Talk::open(&trainer, 1).await;
    let one = talk.evaluate(0, Direction::Forward).await.unwrap();
    let mut parts = evaluation(0, Direction::Forward);
    if let Part::Evaluate(call) = &mut parts[0] {
        call.blocks = 0;
    }
    assert!(product(&mut talk, parts).await.rows() == one.rows());
}

#[tokio::test]
async fn rejects_more_rows_of_all_blocks_than_fit_in_memory() {
    let mut trainer = start(|_| ()).await;
    let mut network = network_of([Kind::Dense(Dense { outputs: 2 })]);
    network.input = Some(Shape { channels: 1, height: 80, width: 80 });
    let request = CreateModelRequest { network: Some(network), ..creation("wide") };
    trainer.create_as(request).await.unwrap();
    let open = OpenSession { model_id: "wide".to_owned(), ..opening(1) };
    let call = Evaluate { rows: 6400, blocks: 11, ..announcement(0, Direction::Forward) };
    let parts = [Part::Open(open), Part::Evaluate(call)];
    let parts = parts.map(|part| TrainRequest { part: Some(part), ..TrainRequest::default() });
    let replies = trainer.client.train(tokio_stream::iter(parts)).await.unwrap();
    let mut replies = replies.into_inner();
    let status = loop {
        match replies.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("nothing was refused"),
            Err(status) => break status,
        }
    };
    let words = "11 blocks have 70400 input rows, one evaluation takes at most 65536";
    assert_refused(&status, Code::InvalidArgument, words);
}
