//! Which modules of a crate import which, read from their sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Attribute, Item, ItemUse, UseTree};

/// A module by the names that lead to it from the crate's root.
type Module = Vec<String>;

/// Every circle of imports among the files of a crate, as "a -> b -> a", once each.
///
/// A child may import from its ancestors: they are one thing in several files. Code that is built
/// for tests alone does not count.
pub fn circles(main: &Path) -> Vec<String> {
    let files = modules(main);
    let mut graph = BTreeMap::new();
    for (module, file) in &files {
        let syntax = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
        let mut imports = Imports { module, files: &files, found: BTreeSet::new() };
        imports.visit_file(&syntax);
        graph.insert(module.clone(), imports.found);
    }
    let mut found = BTreeSet::new();
    for start in graph.keys() {
        if let Some(way) = way_back(&graph, start)
            && way.iter().min() == Some(start)
        {
            let names = way.iter().chain([start]).map(|module| module.join("::"));
            found.insert(names.collect::<Vec<_>>().join(" -> "));
        }
    }
    found.into_iter().collect()
}

/// The files of a crate by module, those of tests left out.
fn modules(main: &Path) -> BTreeMap<Module, PathBuf> {
    let mut files = BTreeMap::from([(Module::new(), main.to_path_buf())]);
    let mut open = vec![(Module::new(), main.parent().unwrap().to_path_buf())];
    while let Some((parent, folder)) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path == main || name == "tests" || path.extension().is_none_or(|e| e != "rs") {
                continue;
            }
            let module: Module = parent.iter().cloned().chain([name.clone()]).collect();
            open.push((module.clone(), folder.join(name)));
            files.insert(module, path);
        }
    }
    files
}

/// A shortest way from a module back to itself, without the last step.
fn way_back(graph: &BTreeMap<Module, BTreeSet<Module>>, start: &Module) -> Option<Vec<Module>> {
    let mut ways = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in &graph[way.last().unwrap()] {
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push(way.iter().cloned().chain([next.clone()]).collect());
                }
            }
        }
        ways = longer;
    }
    None
}

/// Collects the modules that one file names.
struct Imports<'a> {
    module: &'a Module,
    files: &'a BTreeMap<Module, PathBuf>,
    found: BTreeSet<Module>,
}

impl Imports<'_> {
    /// Takes a path in: the deepest module on it, if it begins at the crate, here or above.
    fn name(&mut self, path: &[String]) {
        let mut rest = path.iter();
        let mut module = match path.first().map(String::as_str) {
            Some("crate") => Module::new(),
            Some("self") => self.module.clone(),
            Some("super") => self.above(),
            Some(child) if self.files.contains_key(&self.below(self.module, child)) => {
                rest = [].iter();
                self.below(self.module, child)
            }
            Some(_) | None => return,
        };
        for segment in rest.skip(1) {
            if segment == "super" {
                module.pop();
                continue;
            }
            let deeper = self.below(&module, segment);
            if !self.files.contains_key(&deeper) {
                break;
            }
            module = deeper;
        }
        if !self.module.starts_with(&module) {
            self.found.insert(module);
        }
    }

    fn above(&self) -> Module {
        let parents = self.module.len().saturating_sub(1);
        self.module.iter().take(parents).cloned().collect()
    }

    fn below(&self, module: &Module, child: &str) -> Module {
        module.iter().cloned().chain([child.to_owned()]).collect()
    }

    fn tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(before, tree);
                }
            }
            UseTree::Name(name) => self.name(&with(name.ident.to_string())),
            UseTree::Rename(name) => self.name(&with(name.ident.to_string())),
            UseTree::Glob(_) => self.name(before),
        }
    }
}

fn for_tests(attributes: &[Attribute]) -> bool {
    let test = |meta: &syn::MetaList| {
        meta.path.is_ident("cfg") && meta.tokens.to_string().contains("test")
    };
    attributes.iter().any(|attribute| attribute.meta.require_list().is_ok_and(test))
}

impl<'ast> Visit<'ast> for Imports<'_> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these are marked as of tests here")]
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => return syn::visit::visit_item(self, item),
        };
        if !for_tests(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.name(&names);
        syn::visit::visit_path(self, path);
    }
}
