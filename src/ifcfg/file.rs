//! A parsed file: its statements and what a key's value is.

use std::collections::BTreeMap;
use std::ops::Range;

use super::compound::Tracker;
use super::lexer::{Assignment, Lexer, Token, TokenKind};
use super::word;

/// What an assignment gives its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes, whatever the host's state. They need not be UTF-8.
    Static(Vec<u8>),
    /// Unknown without executing something: a variable, a command, arithmetic, a home directory.
    /// Holds the value as the file has it. (An expansion that fails, as `${X?}` may, even ends the file there.)
    Dynamic(Vec<u8>),
}

/// The value of a key and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub content: Content,
    /// The line of the last assignment, counted from 1.
    pub line: usize,
}

impl Value {
    /// The bytes, unless the value is dynamic.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Static(bytes) => Some(bytes),
            Content::Dynamic(_) => None,
        }
    }

    /// The value as text, unless it is dynamic or not UTF-8.
    pub fn text(&self) -> Option<&str> {
        self.bytes().and_then(|bytes| str::from_utf8(bytes).ok())
    }
}

/// A command, or what could be one.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    /// From its first word to its last, without what ends it.
    pub(super) range: Range<usize>,
    /// What it does.
    pub(super) action: Action,
}

/// What a statement does.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Assigns, with or without `export` before it.
    Assign {
        /// The assignments, in order.
        items: Vec<Assignment>,
        /// Other words: `export` itself and names without a value.
        others: usize,
    },
    /// `unset NAME…`
    Unset(Vec<Vec<u8>>),
    /// Anything else.
    Code,
}

/// A file of shell variables, byte for byte as it was read.
#[derive(Debug, Clone, Default)]
pub struct File {
    pub(super) bytes: Vec<u8>,
    pub(super) statements: Vec<Statement>,
    /// Where the ends of lines are.
    newlines: Vec<usize>,
}

impl File {
    /// Reads a file. Any bytes are one.
    pub fn parse(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            statements: Parser::new(bytes).run(),
            newlines: (0..bytes.len())
                .filter(|at| bytes.get(*at) == Some(&b'\n'))
                .collect(),
        }
    }

    /// The file's bytes: those that were parsed, but for what was edited since.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// The value that `key` has at the end of the file, if the statements that [`File::code`] lists do not
    /// change it; `None` if nothing assigns it or it is unset again. The last assignment wins.
    pub fn get(&self, key: &str) -> Option<Value> {
        let mut value: Option<Value> = None;
        for statement in &self.statements {
            match &statement.action {
                Action::Assign { items, .. } => {
                    for item in items.iter().filter(|item| item.key == key.as_bytes()) {
                        value = Some(self.assigned(item, value.take()));
                    }
                }
                Action::Unset(names) if names.iter().any(|name| name == key.as_bytes()) => {
                    value = None;
                }
                Action::Unset(_) | Action::Code => {}
            }
        }
        value
    }

    /// What every key that is assigned has at the end of the file; see [`File::get`].
    pub(super) fn contents(&self) -> BTreeMap<&[u8], Content> {
        let mut values: BTreeMap<&[u8], Value> = BTreeMap::new();
        for statement in &self.statements {
            match &statement.action {
                Action::Assign { items, .. } => {
                    for item in items {
                        let before = values.remove(item.key.as_slice());
                        values.insert(&item.key, self.assigned(item, before));
                    }
                }
                Action::Unset(names) => {
                    for name in names {
                        values.remove(name.as_slice());
                    }
                }
                Action::Code => {}
            }
        }
        let contents = values.into_iter();
        contents.map(|(key, value)| (key, value.content)).collect()
    }

    /// The value after `item`, where it was `before`.
    fn assigned(&self, item: &Assignment, before: Option<Value>) -> Value {
        let line = self.line_of(item.word.start);
        let raw = self.bytes.get(item.value.clone()).unwrap_or_default();
        let before = before.filter(|_| item.append).map(|value| value.content);
        let content = match (before, &item.text) {
            (None, Some(text)) => Content::Static(text.clone()),
            (Some(Content::Static(mut bytes)), Some(text)) => {
                bytes.extend_from_slice(text);
                Content::Static(bytes)
            }
            (Some(Content::Dynamic(mut all)), _) => {
                all.extend_from_slice(raw);
                Content::Dynamic(all)
            }
            (Some(Content::Static(_)) | None, None) => Content::Dynamic(raw.to_vec()),
        };
        Value { content, line }
    }

    /// The keys that are assigned, in the order in which they first are, each once.
    pub fn keys(&self) -> Vec<String> {
        let mut seen = std::collections::BTreeSet::new();
        let mut keys = Vec::new();
        for statement in &self.statements {
            if let Action::Assign { items, .. } = &statement.action {
                for item in items {
                    let key = String::from_utf8_lossy(&item.key).into_owned();
                    if seen.insert(key.clone()) {
                        keys.push(key);
                    }
                }
            }
        }
        keys
    }

    /// The lines, counted from 1, at which shell code begins: whatever neither assigns static or dynamic
    /// values nor is a comment. What it does is not known; it may set any key, or end the file early.
    pub fn code(&self) -> Vec<usize> {
        self.statements
            .iter()
            .filter(|statement| matches!(statement.action, Action::Code))
            .map(|statement| self.line_of(statement.range.start))
            .collect()
    }

    /// The line that the byte at `position` is on, counted from 1.
    fn line_of(&self, position: usize) -> usize {
        1 + self.newlines.partition_point(|newline| *newline < position)
    }
}

/// Turns tokens into statements.
struct Parser<'a> {
    lexer: Lexer<'a>,
    statements: Vec<Statement>,
    /// How many statements there were at the beginning of the line.
    before_line: usize,
}

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            lexer: Lexer::new(bytes),
            statements: Vec::new(),
            before_line: 0,
        }
    }

    fn run(mut self) -> Vec<Statement> {
        loop {
            let token = self.lexer.next();
            match token.kind {
                TokenKind::End => return self.statements,
                TokenKind::Newline => self.before_line = self.statements.len(),
                _ => self.statement(token),
            }
        }
    }

    /// Reads the statement that begins with `first`.
    fn statement(&mut self, first: Token) {
        let mut range = first.range.clone();
        let mut words = Vec::new();
        let mut is_simple = true;
        let mut tracker = Tracker::new();
        let mut token = first;
        let end = loop {
            let ended = tracker.feed(&token, &mut self.lexer);
            let kind = token.kind;
            if ended {
                break kind;
            }
            range.end = range.end.max(token.range.end);
            match kind {
                TokenKind::Word(_) | TokenKind::Assignment(_) if is_simple => words.push(kind),
                TokenKind::Word(_) | TokenKind::Assignment(_) => {}
                _ => is_simple = false,
            }
            token = self.lexer.next();
        };
        if matches!(end, TokenKind::Unterminated) {
            // Bash reads whole lines: none of the line that is not finished takes effect.
            if let Some(on_line) = self.statements.get(self.before_line) {
                range.start = on_line.range.start;
            }
            self.statements.truncate(self.before_line);
        }
        let is_simple = is_simple
            && matches!(
                end,
                TokenKind::Newline | TokenKind::Semicolon | TokenKind::End
            );
        let action = if is_simple {
            action(words)
        } else {
            Action::Code
        };
        self.statements.push(Statement { range, action });
        if matches!(end, TokenKind::Newline) {
            self.before_line = self.statements.len();
        }
    }
}

/// What a command of these words does.
fn action(words: Vec<TokenKind>) -> Action {
    let mut items = Vec::new();
    let mut names = Vec::new();
    let mut command: Option<Vec<u8>> = None;
    for (at, word) in words.into_iter().enumerate() {
        match word {
            TokenKind::Assignment(mut item) => {
                // Behind `export`, bash expands braces: `export A={1,2}` assigns twice.
                if command.is_some() && item.braces {
                    item.text = None;
                }
                items.push(item);
            }
            TokenKind::Word(text) => match text.bytes.filter(|_| !text.quoted) {
                Some(bytes) if at == 0 => command = Some(bytes),
                Some(bytes) if command.is_some() && word::is_name(&bytes) => names.push(bytes),
                Some(flag) if command.as_deref() == Some(b"unset") && at == 1 && flag == b"-v" => {}
                _ => return Action::Code,
            },
            _ => return Action::Code,
        }
    }
    match command.as_deref() {
        None if !items.is_empty() => Action::Assign { items, others: 0 },
        Some(b"export") => Action::Assign {
            items,
            others: 1 + names.len(),
        },
        Some(b"unset") if items.is_empty() => Action::Unset(names),
        _ => Action::Code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(file: &[u8], key: &str) -> Option<String> {
        File::parse(file).get(key).map(|value| match value.content {
            Content::Static(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Content::Dynamic(raw) => format!("dynamic {}", String::from_utf8_lossy(&raw)),
        })
    }

    #[test]
    fn assignments_are_found_wherever_the_shell_finds_them() {
        let file = b"# A=0\n  A=1 B=\"two words\" # C=3\nexport D='4';E=5\\\n6\nA=7\nF=#g\nH=\n";
        for (key, value) in [
            ("A", Some("7")),
            ("B", Some("two words")),
            ("C", None),
            ("D", Some("4")),
            ("E", Some("56")),
            ("F", Some("#g")),
            ("H", Some("")),
        ] {
            assert_eq!(get(file, key).as_deref(), value, "{key}");
        }
        assert_eq!(File::parse(file).get("A").unwrap().line, 5);
        assert!(File::parse(file).code().is_empty());
    }

    #[test]
    fn values_that_need_execution_are_dynamic() {
        for raw in [
            "$B",
            "${B}",
            "$(id)",
            "`id`",
            "$((1+1))",
            "\"x$B\"",
            "~",
            "~root/x",
            "a:~",
            "$\"x\"",
            "$[1]",
            "\"$(echo \")\")\"",
        ] {
            let file = format!("A={raw}\nB=after\n");
            assert_eq!(get(file.as_bytes(), "A"), Some(format!("dynamic {raw}")));
            assert_eq!(get(file.as_bytes(), "B").as_deref(), Some("after"), "{raw}");
        }
    }

    #[test]
    fn code_is_reported_and_assigns_nothing() {
        for code in [
            "A=1 cmd",
            "if true; then\nA=1\nfi",
            "for x in 1 2; do\nA=1\ndone",
            "case $x in\n(a) A=1;;\nb)\nA=2\n;;\nesac",
            "f() {\nA=1\n}",
            "f()\n{\nA=1\n}",
            "function f {\nA=1\n}",
            ". /etc/x",
            "true &&\nA=1",
            "A=1 &",
            "A=(1 2)",
            "A=(\nA=1\n)",
            "(A=1)",
            "(\nA=1\n)",
            "cat <<EOF\nA=1\nEOF",
            "cat <<-'E F'\nA=1\n\tE F",
            "((x<<2))",
            "[[ a == (b) ]]",
            "readonly A=1",
            "export -n A=1",
            "while\nfalse\ndo\nA=1; done",
        ] {
            let file = format!("B=1\n{code}\nC=3\n");
            assert_eq!(get(file.as_bytes(), "A"), None, "{code}");
            assert_eq!(get(file.as_bytes(), "C").as_deref(), Some("3"), "{code}");
            assert_eq!(
                File::parse(file.as_bytes()).code().first(),
                Some(&2),
                "{code}"
            );
        }
    }

    #[test]
    fn a_line_that_never_ends_takes_no_effect() {
        assert_eq!(get(b"A=1\nB=2; C='x", "A").as_deref(), Some("1"));
        assert_eq!(get(b"A=1\nB=2; C='x", "B"), None);
        assert_eq!(File::parse(b"A=1\nB=2; C='x").code(), [2]);
    }

    #[test]
    fn unset_and_append_count() {
        assert_eq!(get(b"A=1\nunset A\n", "A"), None);
        assert_eq!(get(b"A=1\nA+=2 A+='3'\n", "A").as_deref(), Some("123"));
        assert_eq!(
            get(b"A=1\nA+=$X\nA+=2\n", "A").as_deref(),
            Some("dynamic $X2")
        );
    }

    #[test]
    fn carriage_returns_and_odd_bytes_are_kept() {
        assert_eq!(get(b"A=1\r\n", "A").as_deref(), Some("1\r"));
        let value = File::parse(b"A=\xff\"\xfe\"").get("A").unwrap();
        assert_eq!(value.bytes(), Some(&b"\xff\xfe"[..]));
        assert_eq!(value.text(), None);
        assert!(matches!(
            File::parse(b"A=a\0b\n").get("A").unwrap().content,
            Content::Dynamic(_)
        ));
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        let deep = b"A="
            .iter()
            .copied()
            .chain(b"$(".iter().copied().cycle().take(400_000));
        let deep: Vec<u8> = deep.collect();
        let file = File::parse(&deep);
        assert_eq!(file.to_bytes(), deep);
        assert_eq!(file.code(), [1]);
    }
}
