//! `sphinx privacy data`: what models on the same images spend together.

use serde_json::Value;

use crate::world::{World, assert_says};

fn mnist(world: &World) -> Value {
    let mut all = world.run(&["privacy", "data", "--json"]).json();
    assert_eq!(all[0]["name"], "mnist", "{all}");
    all[0].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn models_on_the_same_images_add_up_keep_to_a_cap_and_stay_when_they_are_deleted() {
    let world = World::with_key().await;
    assert_says(&world.run(&["privacy", "data"]).succeeded().stdout, &["nothing was trained"]);
    world.train_tiny(&["--model", "a", "--epsilon", "2"]).succeeded();
    let alone = mnist(&world)["epsilon"].as_f64().unwrap();
    let shown = world.run(&["privacy", "show", "a", "--json"]).json();
    assert_eq!(shown["epsilon"].as_f64(), Some(alone));
    world.train_tiny(&["--model", "b", "--epsilon", "2"]).succeeded();
    let both = mnist(&world);
    let spent = both["epsilon"].as_f64().unwrap();
    assert!(alone > 1.9 && spent > 1.1 * alone && spent < 2.0 * alone, "{both}");
    assert_eq!((&both["images"], &both["epsilon_proof"]), (&60_000.into(), &"pld".into()));

    let cap = |epsilon: f64| {
        let epsilon = epsilon.to_string();
        world.run(&["privacy", "cap", "mnist", "--epsilon", &epsilon, "--delta", "1e-5"])
    };
    assert_says(&cap(0.9 * spent).refused(1), &["mnist", "has spent", "would be below"]);
    cap(spent + 0.1).succeeded();
    let refused = world.train_tiny(&["--model", "c", "--epsilon", "2"]).refused(1);
    assert_says(&refused, &["beyond its cap", "steps are allowed", "sphinx privacy cap"]);
    assert_eq!(mnist(&world)["epsilon"].as_f64(), Some(spent), "nothing was spent");

    world.run(&["models", "delete", "a"]).succeeded();
    let text = world.run(&["privacy", "data"]).succeeded().stdout;
    assert_says(&text, &["data set mnist: 60000 images", "default/a", "deleted", "0.100 of a cap"]);
    assert_eq!(mnist(&world)["epsilon"].as_f64(), Some(spent));

    world.run(&["privacy", "cap", "mnist", "--none"]).succeeded();
    world.run(&["privacy", "public", "mnist"]).succeeded();
    world.train_tiny(&["--model", "c", "--epsilon", "2"]).succeeded();
    let text = world.run(&["privacy", "data"]).succeeded().stdout;
    assert_says(&text, &["nothing: declared public"]);
    world.run(&["privacy", "public", "mnist", "--undo"]).succeeded();
    let models = mnist(&world)["models"].as_array().unwrap().len();
    assert_eq!(models, 3);
}

/// Before anything is trained on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_known_by_its_name_for_caps_and_others_are_refused() {
    let world = World::with_key().await;
    let refused = world.run(&["privacy", "cap", "mnits", "--epsilon", "1"]).refused(1);
    assert_says(&refused, &["no data set \"mnits\" is known here"]);
    world.run(&["privacy", "cap", "mnist", "--epsilon", "1"]).succeeded();
    let refused = world.train_tiny(&["--model", "a", "--epsilon", "2"]).refused(1);
    assert_says(&refused, &["\"mnist\"", "beyond its cap of 1"]);
    // Nothing is proven of exact gradients, so no cap can be kept.
    let refused = world.train_tiny(&["--model", "b", "--privacy", "none"]);
    assert_eq!(refused.code, Some(1));
    assert_says(&refused.stderr, &["a cap cannot be kept"]);
    world.train_tiny(&["--model", "c", "--epsilon", "1"]).succeeded();
    let listed = mnist(&world);
    let (spent, left) = (listed["epsilon"].as_f64().unwrap(), listed["left"].as_f64().unwrap());
    assert!(spent <= 1.0 && (spent + left - 1.0).abs() < 1e-9, "{listed}");
}
