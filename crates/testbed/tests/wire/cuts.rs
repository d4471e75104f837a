//! Connections that are cut in the midst of a commit.

use std::sync::{Arc, OnceLock};

use sphinx_testbed::relay::{Cut, Hand, MessageRelay, TcpRelay, pass};
use sphinx_testbed::training::World;

use crate::budget::{TRAIN, through, trained, undisturbed};
use crate::ways::{is_gradient, untouched};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_in_the_midst_of_a_commit_costs_nothing_more() {
    let expected = undisturbed().await;
    for cut in [Cut::Whole, Cut::Half] {
        let world = World::with_model().await;
        // The client's bytes pass the relay that cuts; the one behind it reads messages and says
        // when.
        let front: Arc<OnceLock<TcpRelay>> = Arc::default();
        let cutting = Arc::clone(&front);
        let hands = move |path: &str, earlier: usize| -> Hand {
            if path != TRAIN || earlier > 0 {
                return untouched();
            }
            let cutting = Arc::clone(&cutting);
            Box::new(move |message| {
                if is_gradient(1)(&message) {
                    cutting.get().unwrap().cut(cut);
                }
                pass(message)
            })
        };
        let relay = MessageRelay::start(&world.endpoints.trainer, hands).await;
        let url = {
            front.set(TcpRelay::start(&relay.url).await).unwrap();
            front.get().unwrap().url.clone()
        };
        let outcome = trained(&world, &through(&world, &url)).await;
        assert_eq!(outcome, expected, "{cut:?}");
        // A connection made at once may be cut with the other.
        assert!(relay.seen(TRAIN).len() >= 2, "{cut:?}");
    }
}
