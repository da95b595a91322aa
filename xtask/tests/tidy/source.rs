//! A Rust file, read as tokens: comments and strings are never taken for code, and no line break or
//! brace style hides anything.

use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::folder;

/// A file that a crate is made of.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    /// Whether a `#[cfg(test)]` stands above it.
    pub(crate) test: bool,
    pub(crate) found: Found,
}

/// What the rules want to know about a file.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) modules: Vec<Module>,
    pub(crate) imports: Vec<Import>,
    /// The texts that name a file in Lua: what `include_str!` is given, at once or by a macro.
    pub(crate) included: Vec<String>,
    /// The lines that call a function named `sleep`.
    pub(crate) sleeps: Vec<usize>,
}

/// `mod name;` or `mod name { .. }`.
pub(crate) struct Module {
    pub(crate) name: String,
    /// The modules around it in the same file.
    inside: Vec<String>,
    /// From `#[path = ".."]`.
    path: Option<String>,
    pub(crate) test: bool,
    inline: bool,
}

impl Module {
    /// Whether it stands in the file itself, and not in another module there.
    pub(crate) fn is_top(&self) -> bool {
        self.inside.is_empty()
    }
}

/// The use of a name that stands in the crate's root, as in `crate::name` or `super::name`.
pub(crate) struct Import {
    pub(crate) name: String,
    /// The top-level module that uses it; none in the root.
    pub(crate) by: Option<String>,
    pub(crate) line: usize,
}

/// The root and every file that hangs from it through `mod` lines. A `mod` without a file is left
/// to the compiler to complain about.
pub(crate) fn files_of(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    add(root.to_owned(), Vec::new(), false, &mut files);
    files
}

fn add(path: PathBuf, module: Vec<String>, test: bool, files: &mut Vec<File>) {
    let found = read(&folder::text(&path), &module)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let stem = path.file_stem().unwrap();
    // `store.rs` keeps its modules in `store/`, a root and a `mod.rs` beside themselves.
    let mut home = path.parent().unwrap().to_owned();
    if !module.is_empty() && stem != "mod" {
        home.push(stem);
    }
    let mut children = Vec::new();
    for child in found.modules.iter().filter(|child| !child.inline) {
        let inside = child.inside.iter().fold(home.clone(), |home, name| home.join(name));
        let candidates = match &child.path {
            Some(named) => vec![path.with_file_name(named)],
            None => vec![
                inside.join(&child.name).with_extension("rs"),
                inside.join(&child.name).join("mod.rs"),
            ],
        };
        let names = module.iter().chain(&child.inside).chain([&child.name]).cloned().collect();
        if let Some(file) = candidates.into_iter().find(|file| file.is_file()) {
            children.push((file, names, test || child.test));
        }
    }
    files.push(File { path, test, found });
    for (path, module, test) in children {
        add(path, module, test, files);
    }
}

/// Reads the text of a file that is this module.
pub(crate) fn read(text: &str, module: &[String]) -> Result<Found, proc_macro2::LexError> {
    let mut reader = Reader { file: module, found: Found::default() };
    let tokens: TokenStream = text.parse()?;
    reader.read(tokens, &Place { inside: Vec::new(), test: false });
    Ok(reader.found)
}

struct Reader<'a> {
    file: &'a [String],
    found: Found,
}

/// Where in the file a token stands.
#[derive(Clone)]
struct Place {
    inside: Vec<String>,
    test: bool,
}

impl Reader<'_> {
    fn read(&mut self, tokens: TokenStream, place: &Place) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        self.read_slice(&tokens, place);
    }

    fn read_slice(&mut self, tokens: &[TokenTree], place: &Place) {
        let mut path = None;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let rest = &tokens[at + 1..];
            at += 1;
            match token {
                TokenTree::Punct(hash) if hash.as_char() == '#' => {
                    let Some(TokenTree::Group(attribute)) = rest.first() else { continue };
                    at += 1;
                    if is_cfg_test(attribute.stream()) {
                        let item = item(&rest[1..]);
                        at += item.len();
                        self.read_slice(item, &Place { test: true, ..place.clone() });
                    } else if let Some(file) = path_attribute(attribute.stream()) {
                        path = Some(file);
                    }
                }
                TokenTree::Ident(word) => {
                    at += match word.to_string().as_str() {
                        "mod" => self.module(rest, path.take(), place),
                        "crate" if !is_dollar(tokens, at - 1) => self.import(rest, 0, place),
                        "super" => self.import(rest, self.depth(place).saturating_sub(1), place),
                        "sleep" if is_call(tokens, at - 1) => {
                            self.found.sleeps.push(word.span().start().line);
                            0
                        }
                        _ => 0,
                    }
                }
                TokenTree::Group(group) => self.read(group.stream(), place),
                TokenTree::Literal(_) => {
                    let text = string(tokens[at - 1].clone());
                    self.found.included.extend(text.filter(|text| text.ends_with(".lua")));
                }
                _ => {}
            }
        }
    }

    /// How many modules a token is in.
    fn depth(&self, place: &Place) -> usize {
        self.file.len() + place.inside.len()
    }

    /// After `mod`. Returns how many tokens it has dealt with.
    fn module(&mut self, rest: &[TokenTree], path: Option<String>, place: &Place) -> usize {
        let [TokenTree::Ident(name), body, ..] = rest else { return 0 };
        let name = name.to_string();
        let inline = matches!(body, TokenTree::Group(_));
        self.found.modules.push(Module {
            name: name.clone(),
            inside: place.inside.clone(),
            path,
            test: place.test,
            inline,
        });
        if let TokenTree::Group(body) = body {
            let mut place = place.clone();
            place.inside.push(name);
            self.read(body.stream(), &place);
        }
        2
    }

    /// After `crate` or `super`, which have led to the module that is `depth` below the root: notes
    /// what is taken from the root itself, for that decides the direction.
    fn import(&mut self, rest: &[TokenTree], depth: usize, place: &Place) -> usize {
        let [TokenTree::Punct(a), TokenTree::Punct(b), next, ..] = rest else { return 0 };
        if (a.as_char(), b.as_char()) != (':', ':') {
            return 0;
        }
        2 + self.imported(next, &rest[3..], depth, place)
    }

    fn imported(
        &mut self,
        name: &TokenTree,
        rest: &[TokenTree],
        depth: usize,
        place: &Place,
    ) -> usize {
        match name {
            TokenTree::Ident(word) if word == "super" => {
                1 + self.import(rest, depth.saturating_sub(1), place)
            }
            TokenTree::Group(list) if list.delimiter() == Delimiter::Brace => {
                let list: Vec<TokenTree> = list.stream().into_iter().collect();
                for entry in list.split(|token| is_punct(token, ',')) {
                    if let [name, rest @ ..] = entry {
                        self.imported(name, rest, depth, place);
                    }
                }
                1
            }
            // A macro stands in the root wherever it is written.
            _ if rest.first().is_some_and(|next| is_punct(next, '!')) => 1,
            TokenTree::Ident(_) | TokenTree::Punct(_) if depth == 0 && !place.test => {
                self.found.imports.push(Import {
                    name: name.to_string(),
                    by: self.file.iter().chain(&place.inside).next().cloned(),
                    line: name.span().start().line,
                });
                1
            }
            _ => 1,
        }
    }
}

/// The attribute `cfg(test)`, also as in `cfg(all(test, unix))`; `cfg(not(test))` is no test.
fn is_cfg_test(attribute: TokenStream) -> bool {
    fn asks_for_test(condition: TokenStream) -> bool {
        let tokens: Vec<TokenTree> = condition.into_iter().collect();
        tokens.iter().enumerate().any(|(at, token)| match token {
            TokenTree::Ident(word) => word == "test",
            TokenTree::Group(list) => {
                at.checked_sub(1).is_some_and(|before| tokens[before].to_string() == "all")
                    && asks_for_test(list.stream())
            }
            _ => false,
        })
    }
    let mut tokens = attribute.into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(cfg)), Some(TokenTree::Group(condition))) => {
            cfg == "cfg" && asks_for_test(condition.stream())
        }
        _ => false,
    }
}

/// The attribute `path = "file.rs"`.
fn path_attribute(attribute: TokenStream) -> Option<String> {
    let mut tokens = attribute.into_iter();
    let is_path = matches!(tokens.next(), Some(TokenTree::Ident(word)) if word == "path");
    if is_path { tokens.nth(1).and_then(string) } else { None }
}

/// The item that these tokens begin with: up to its `;` or its body.
fn item(tokens: &[TokenTree]) -> &[TokenTree] {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(token, ';'),
    };
    let end = tokens.iter().position(is_end).map_or(tokens.len(), |last| last + 1);
    &tokens[..end]
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// `$crate` in a macro is a path for the macro's users, not an import.
fn is_dollar(tokens: &[TokenTree], at: usize) -> bool {
    at.checked_sub(1).is_some_and(|before| is_punct(&tokens[before], '$'))
}

/// Whether the name here is called, rather than declared or only named.
fn is_call(tokens: &[TokenTree], at: usize) -> bool {
    let declared = at.checked_sub(1).is_some_and(|before| tokens[before].to_string() == "fn");
    let arguments = matches!(tokens.get(at + 1), Some(TokenTree::Group(group))
        if group.delimiter() == Delimiter::Parenthesis);
    arguments && !declared
}

/// The text of a string literal, raw or not; a path in a source file has no escapes.
fn string(token: TokenTree) -> Option<String> {
    let literal = token.to_string();
    let (start, end) = (literal.find('"')?, literal.rfind('"')?);
    literal.get(start + 1..end).map(str::to_owned)
}

#[test]
fn comments_strings_and_tests_are_not_imports() {
    let text = r#"
        //! See [`crate::doc`].
        use crate::code; // crate::comment
        const TEXT: &str = "crate::string; thread::sleep(1)";
        macro_rules! for_users { () => { $crate::macros } }
        #[cfg(test)]
        use crate::test_import;
        #[cfg(all(test, unix))]
        mod tests { use super::*; use crate::test_module; }
        #[cfg(not(test))]
        fn f() -> crate::result::Result { crate::inner_macro!() }
    "#;
    let found = read(text, &["own".to_owned()]).unwrap();
    let names: Vec<&str> = found.imports.iter().map(|import| &*import.name).collect();
    assert_eq!(names, ["code", "result"]);
    assert_eq!(found.sleeps, [] as [usize; 0]);
}

#[test]
fn every_way_to_write_an_import_is_seen() {
    let text = "
        use crate::{a::{x, y}, b};
        use super::c::Name;
        use super::{d, e::*};
        use super::*;
        mod inner {
            use super::super::f;
            use super::own_module;
        }
        fn body() { let _ = g(crate::h::new()); }
    ";
    let found = read(text, &["own".to_owned()]).unwrap();
    let names: Vec<&str> = found.imports.iter().map(|import| &*import.name).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e", "*", "f", "h"]);
    assert!(found.imports.iter().all(|import| import.by.as_deref() == Some("own")));
    assert_eq!(found.imports[2].line, 3);
}
