//! Which file names which: every `use` and every path of a crate's sources, resolved to the file that defines what it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Item, UseTree};

/// A file of a crate, by its path from the workspace: `core/src/cache/key.rs`.
pub type File = String;

/// What the files of a crate name.
#[derive(Debug, Default)]
pub struct Names {
    /// The files of the same crate.
    pub files: BTreeMap<File, BTreeSet<File>>,
    /// The first segments of all other paths: crates, among them.
    pub crates: BTreeMap<File, BTreeSet<String>>,
}

/// A module's path within its crate: `["cache", "key"]`.
type Module = Vec<String>;

/// A module, as far as names are looked up in it.
#[derive(Default)]
struct Scope {
    file: File,
    /// What it defines.
    items: BTreeSet<String>,
    /// What it brings in, under which name, by which path.
    imports: BTreeMap<String, Vec<String>>,
    /// Modules whose public items it brings in as they are.
    globs: Vec<Vec<String>>,
    /// Every path that stands in it.
    paths: BTreeSet<Vec<String>>,
    /// What it hands on, by which path. That alone makes it no user of it.
    exports: BTreeMap<String, Vec<String>>,
    /// Every name that stands in it by itself.
    words: BTreeSet<String>,
}

/// The names of every file in `SOURCES` of a workspace, like `core/src`.
///
/// # Errors
/// A file cannot be read, or is no Rust.
pub fn names(workspace: &Path, sources: &str) -> Result<Names, Box<dyn std::error::Error>> {
    let mut scopes = BTreeMap::new();
    for path in files(&workspace.join(sources))? {
        let file = path.strip_prefix(workspace)?.display().to_string();
        let module = module(workspace, sources, file.strip_prefix(sources).unwrap_or_default());
        let parsed = syn::parse_file(&fs::read_to_string(&path)?)?;
        scopes.insert(module, Scope::of(file, &parsed));
    }
    let mut names = Names::default();
    for (module, scope) in &scopes {
        let files = names.files.entry(scope.file.clone()).or_default();
        let crates = names.crates.entry(scope.file.clone()).or_default();
        for path in &scope.paths {
            match resolve(&scopes, module, path, 0) {
                Some(file) if file == scope.file => {}
                Some(file) => drop(files.insert(file)),
                None => drop(crates.insert(path.first().cloned().unwrap_or_default())),
            }
        }
    }
    Ok(names)
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// From `/cache/key.rs` to `["cache", "key"]`. A program beside a library is a module of its own.
fn module(workspace: &Path, sources: &str, file: &str) -> Module {
    let path = file.trim_start_matches('/').trim_end_matches(".rs");
    let root = if workspace.join(sources).join("lib.rs").exists() { "lib" } else { "main" };
    if path == root { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

impl Scope {
    fn of(file: File, parsed: &syn::File) -> Self {
        let mut scope = Self { file, ..Self::default() };
        for item in &parsed.items {
            scope.define(item);
        }
        scope.visit_file(parsed);
        let used = |name: &String| scope.words.contains(name);
        scope.paths.extend(scope.exports.iter().filter(|(name, _)| used(name)).map(|(_, path)| path.clone()));
        scope
    }

    fn define(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Macro(item) => match &item.ident {
                Some(name) => name,
                None => return,
            },
            Item::Use(item) => {
                let before = std::mem::take(&mut self.paths);
                self.import(&item.tree, Vec::new());
                let brought = std::mem::replace(&mut self.paths, before);
                if matches!(item.vis, syn::Visibility::Inherited) {
                    self.paths.extend(brought);
                } else {
                    let name = |path: &Vec<String>| path.last().cloned().unwrap_or_default();
                    self.exports.extend(brought.into_iter().map(|path| (name(&path), path)));
                }
                return;
            }
            _ => return,
        };
        self.items.insert(name.to_string());
    }

    fn import(&mut self, tree: &UseTree, mut path: Vec<String>) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(&tree.tree, path);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, path.clone())),
            UseTree::Glob(_) => {
                self.paths.insert(path.clone());
                self.globs.push(path);
            }
            UseTree::Name(name) if name.ident == "self" => {
                self.paths.insert(path.clone());
                let name = path.last().cloned().unwrap_or_default();
                self.imports.insert(name, path);
            }
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.paths.insert(path.clone());
                self.imports.insert(name.ident.to_string(), path);
            }
            UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                self.paths.insert(path.clone());
                self.imports.insert(rename.rename.to_string(), path);
            }
        }
    }
}

impl<'a> Visit<'a> for Scope {
    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.segments.len() > 1 {
            self.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        self.words.extend(path.segments.first().map(|first| first.ident.to_string()));
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'a syn::Macro) {
        // What stands in the call of a macro is tokens: the paths in them are read as they stand there.
        let tokens = called.tokens.to_string();
        for word in
            tokens.replace(" :: ", "::").split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        {
            let path: Vec<String> = word.split("::").map(str::to_owned).collect();
            if path.len() > 1 && path.iter().all(|segment| !segment.is_empty() && !segment.contains(':')) {
                self.paths.insert(path);
            }
        }
        syn::visit::visit_macro(self, called);
    }

    fn visit_visibility(&mut self, _: &'a syn::Visibility) {
        // Who may name it is no use of anything.
    }

    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        // Tests may name whatever they try.
        let is_test = module.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|of| of.is_ident("test"))
        });
        if !is_test {
            syn::visit::visit_item_mod(self, module);
        }
    }
}

/// The file that defines what a path names, seen from a module; none: it is of another crate.
fn resolve(scopes: &BTreeMap<Module, Scope>, from: &[String], path: &[String], depth: usize) -> Option<File> {
    // An import of itself would go round for ever.
    if depth > 16 {
        return None;
    }
    let (first, rest) = path.split_first()?;
    let scope = scopes.get(from)?;
    let (module, rest) = match first.as_str() {
        "crate" => (Vec::new(), rest),
        "self" => (from.to_vec(), rest),
        "super" => (from.split_last()?.1.to_vec(), rest),
        name => {
            let child = [from, &[name.to_owned()]].concat();
            if scopes.contains_key(&child) {
                (child, rest)
            } else if scope.items.contains(name) {
                return Some(scope.file.clone());
            } else if let Some(import) = scope.imports.get(name).filter(|import| import.as_slice() != path) {
                return resolve(scopes, from, &[import, rest].concat(), depth + 1);
            } else {
                return scope.globs.iter().find_map(|glob| {
                    resolve(scopes, from, &[glob.as_slice(), path].concat(), depth + 1)
                        .filter(|file| *file != scope.file)
                });
            }
        }
    };
    if rest.is_empty() {
        return scopes.get(&module).map(|scope| scope.file.clone());
    }
    if first == "super" && rest[0] == "super" {
        return resolve(scopes, &module, rest, depth + 1);
    }
    let scope = scopes.get(&module)?;
    resolve(scopes, &module, rest, depth + 1).or_else(|| Some(scope.file.clone()))
}

/// Files that name each other in a circle, each circle once.
pub fn circles(names: &Names) -> Vec<BTreeSet<File>> {
    let reach: BTreeMap<&File, BTreeSet<&File>> =
        names.files.keys().map(|file| (file, reachable(names, file))).collect();
    let mut found = BTreeSet::new();
    for (file, reached) in &reach {
        let circle: BTreeSet<File> = reached
            .iter()
            .filter(|other| reach.get(*other).is_some_and(|back| back.contains(file)))
            .map(|other| (*other).clone())
            .collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

fn reachable<'a>(names: &'a Names, from: &'a File) -> BTreeSet<&'a File> {
    let (mut found, mut ahead) = (BTreeSet::new(), vec![from]);
    while let Some(file) = ahead.pop() {
        for next in names.files.get(file).into_iter().flatten() {
            if found.insert(next) {
                ahead.push(next);
            }
        }
    }
    found
}
