use super::{Recipe, RecipeError, RecipePrivacy};
use crate::Augmentation;

const TEXT: &str = r#"
name = "mine"
description = "A recipe of my own"
network = "mlp-100"
seeds = [1, 2]

[privacy.budget]
epsilon = 2
delta = 1e-5
clipping_norm = 0.1

[training]
epochs = 10
blocks = 2
batch = 3000
optimizer = { sgd = { momentum = 0.9, nesterov = true } }
learning_rate = 8
decay = { cosine = { floor = 0.05 } }
warmup = 5
averaging = 0.99
augment = 8
shift = 2

[published]
accuracy = 0.97
deviation = 0.001
minutes = 12.5
megabytes = 4000
"#;

#[test]
fn every_recipe_of_the_folder_is_built_in_and_right() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../recipes");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    files.sort();
    let read_me = std::fs::read_to_string(format!("{folder}/README.md")).unwrap();
    let mut names: Vec<String> =
        Recipe::builtin_names().map(|name| format!("{name}.toml")).collect();
    names.sort();
    assert_eq!(names, files);
    for name in Recipe::builtin_names() {
        let recipe = Recipe::load(name).unwrap();
        assert_eq!(recipe.name, name);
        assert!(read_me.contains(&format!("| `{name}` |")), "{name} in recipes/README.md");
        assert_eq!(recipe.spec().unwrap().name, recipe.network);
        let rule = recipe.options().unwrap().rule(60_000);
        assert!(rule.is_ok(), "{name}: {:?}", rule.err());
        let says_epsilon = |epsilon: f64| name.ends_with(&format!("-eps{epsilon}"));
        match recipe.privacy {
            RecipePrivacy::Budget { epsilon, delta, .. } => {
                assert!(says_epsilon(epsilon) && delta == 1e-5, "{name}");
            }
            RecipePrivacy::None => assert!(name.ends_with("-no-privacy"), "{name}"),
        }
    }
}

#[test]
fn text_and_recipe_are_the_same() {
    let recipe = Recipe::parse("mine", TEXT).unwrap();
    assert_eq!(Recipe::parse("mine", &recipe.to_toml().unwrap()).unwrap(), recipe);
    let once = Recipe::parse("mine", &TEXT.replace("augment = 8\nshift = 2\n", "")).unwrap();
    assert_eq!(Recipe::parse("mine", &once.to_toml().unwrap()).unwrap(), once);
    assert_eq!(once.options().unwrap().augmentation, None);
    let open = TEXT.replace("[privacy.budget]\nepsilon = 2\ndelta = 1e-5\nclipping_norm = 0.1", "");
    let open = Recipe::parse("mine", &open.replace("seeds", "privacy = \"none\"\nseeds")).unwrap();
    assert_eq!((open.privacy, open.delta().unwrap()), (RecipePrivacy::None, None));
}

#[test]
fn copies_are_options_of_the_training() {
    let options = Recipe::parse("mine", TEXT).unwrap().options().unwrap();
    assert_eq!(options.augmentation, Some(Augmentation { copies: 8, shift: 2 }));
}

#[test]
fn networks_are_looked_for_beside_the_recipe() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mine.toml");
    std::fs::write(&path, TEXT.replace("mlp-100", "own.toml")).unwrap();
    let recipe = Recipe::load(path.to_str().unwrap()).unwrap();
    let error = recipe.spec().unwrap_err();
    assert!(matches!(&error, RecipeError::UnknownNetwork { got, .. } if got == "own.toml"));
    let network = sphinx_network::NetworkSpec::builtin("mlp-100").unwrap();
    std::fs::write(directory.path().join("own.toml"), network.to_toml().unwrap()).unwrap();
    assert_eq!(recipe.spec().unwrap(), network);
    std::fs::write(directory.path().join("own.toml"), "name = 7").unwrap();
    assert!(matches!(recipe.spec().unwrap_err(), RecipeError::Network { .. }));
}

#[test]
fn rejects_what_is_no_recipe() {
    let error = Recipe::load("scatter-linear").unwrap_err().to_string();
    assert!(error.contains("neither a built-in recipe") && error.contains("cnn-eps2"), "{error}");
    for (from, to, says) in [
        ("epochs", "epoch", "unknown field `epoch`"),
        ("name = \"mine\"", "", "missing field `name`"),
        ("clipping_norm", "clip", "clip"),
        ("nesterov = true", "nesterov = 1", "invalid type"),
        ("seeds = [1, 2]", "seeds = [-1]", "-1"),
        ("megabytes = 4000", "megabytes = 4000\nrun = 1", "unknown field `run`"),
    ] {
        let error = Recipe::parse("mine.toml", &TEXT.replace(from, to)).unwrap_err();
        assert!(matches!(error, RecipeError::Toml { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains("mine.toml") && error.contains(says), "{error}");
    }
}

#[test]
fn rejects_values_outside_their_domains() {
    for (from, to, says) in [
        ("name = \"mine\"", "name = \"../mine\"", "recipe mine.toml: name"),
        ("A recipe of my own", "two\\nlines", "description"),
        ("network = \"mlp-100\"", "network = \"\"", "network"),
        ("[1, 2]", "[]", "at least one seed"),
        ("[1, 2]", "[1, 1]", "1 twice"),
        ("epsilon = 2", "epsilon = 0", "epsilon 0"),
        ("epsilon = 2", "epsilon = nan", "epsilon NaN"),
        ("delta = 1e-5", "delta = 1", "delta 1"),
        ("clipping_norm = 0.1", "clipping_norm = 0", "clipping_norm is 0"),
        ("epochs = 10", "epochs = -1", "training.epochs is -1"),
        ("blocks = 2", "blocks = 0", "training.blocks is 0"),
        ("batch = 3000", "batch = 0", "training.batch is 0"),
        ("momentum = 0.9", "momentum = 1", "momentum is 1"),
        ("learning_rate = 8", "learning_rate = inf", "learning rate is inf"),
        ("floor = 0.05", "floor = 1.5", "floor is 1.5"),
        ("warmup = 5", "warmup = 2000000000000", "a warm-up of 2000000000000 steps"),
        ("averaging = 0.99", "averaging = 1", "training.averaging"),
        ("augment = 8\n", "", "training.shift is 2, expected none without training.augment"),
        ("shift = 2\n", "", "training.shift is absent"),
        ("augment = 8", "augment = 0", "training.augment: 0 copies"),
        ("augment = 8", "augment = 1", "training.augment: 1 copies"),
        ("augment = 8", "augment = 6", "training.augment: 6 copies"),
        ("augment = 8", "augment = 32", "training.augment: 32 copies"),
        ("shift = 2", "shift = 0", "training.shift: copies moved by up to 0"),
        ("shift = 2", "shift = 5", "training.shift: copies moved by up to 5"),
        ("accuracy = 0.97", "accuracy = 97", "published.accuracy is 97"),
        ("deviation = 0.001", "deviation = -0.1", "published.deviation"),
        ("minutes = 12.5", "minutes = 0", "published.minutes"),
        ("megabytes = 4000", "megabytes = inf", "published.megabytes"),
    ] {
        let error = Recipe::parse("mine.toml", &TEXT.replace(from, to)).unwrap_err().to_string();
        assert!(error.starts_with("recipe mine") && error.contains(says), "{to}: {error}");
    }
}
