//! Words, operators and line ends; blanks, comments and here-documents are passed over.

use std::ops::Range;

use super::cursor::Cursor;
use super::skip;
use super::word::{self, Text};

/// A piece of the file.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// Where it stands.
    pub(super) range: Range<usize>,
    /// What it is.
    pub(super) kind: TokenKind,
}

/// What a token is.
#[derive(Debug, Clone)]
pub(super) enum TokenKind {
    /// Any word that does not look like an assignment.
    Word(Text),
    /// A word of the form `NAME=…` or `NAME+=…`; whether it assigns depends on where it stands.
    Assignment(Assignment),
    /// `;`
    Semicolon,
    /// The end of a line.
    Newline,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `&`
    Background,
    /// `&&`, `||`, `|` or `|&`: the command goes on, on the next line if need be.
    Join,
    /// `;;`, `;&` or `;;&`
    CaseEnd,
    /// A redirection.
    Redirection,
    /// The end of the file.
    End,
    /// The file ends inside a quotation or an expansion that begins here.
    Unterminated,
}

/// A word of the form `NAME=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The whole word.
    pub(super) word: Range<usize>,
    /// The variable.
    pub(super) key: Vec<u8>,
    /// Whether it is `+=`.
    pub(super) append: bool,
    /// Where the value stands, quotation included.
    pub(super) value: Range<usize>,
    /// What the value says; `None` if that is not known without executing something.
    pub(super) text: Option<Vec<u8>>,
    /// Whether an unquoted brace is in it.
    pub(super) braces: bool,
}

/// Reads tokens off the bytes of a file.
pub(super) struct Lexer<'a> {
    cursor: Cursor<'a>,
    documents: Vec<HereDocument>,
}

/// A here-document whose text begins on the next line.
struct HereDocument {
    delimiter: Vec<u8>,
    strip_tabs: bool,
}

impl<'a> Lexer<'a> {
    /// At the beginning of `src`.
    pub(super) fn new(src: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(src),
            documents: Vec::new(),
        }
    }

    /// The next token; [`TokenKind::End`] again and again at the end.
    pub(super) fn next(&mut self) -> Token {
        self.skip_blanks();
        let start = self.cursor.pos();
        let kind = match self.cursor.peek() {
            None => TokenKind::End,
            Some(b'\n') => {
                self.cursor.advance(1);
                self.skip_documents();
                TokenKind::Newline
            }
            Some(b'(') => self.take(1, TokenKind::Open),
            Some(b')') => self.take(1, TokenKind::Close),
            Some(b';' | b'&' | b'|' | b'<' | b'>') => self.operator(),
            Some(_) => self.word().unwrap_or_else(|skip::Unterminated| {
                self.cursor.finish();
                TokenKind::Unterminated
            }),
        };
        Token {
            range: start..self.cursor.pos(),
            kind,
        }
    }

    /// Whether `(` comes next, with nothing between: `((` begins arithmetic.
    pub(super) fn at_open(&self) -> bool {
        self.cursor.peek() == Some(b'(')
    }

    /// Behind `((`: to behind the parentheses that end it.
    pub(super) fn skip_arithmetic(&mut self) {
        self.cursor.advance(1);
        for _ in 0..2 {
            if skip::balanced(&mut self.cursor, b'(', b')', false, 0).is_err() {
                self.cursor.finish();
            }
        }
    }

    fn take(&mut self, count: usize, kind: TokenKind) -> TokenKind {
        self.cursor.advance(count);
        kind
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.cursor.peek() {
                Some(b' ' | b'\t') => self.cursor.advance(1),
                Some(b'\\') if self.cursor.peek_at(1) == Some(b'\n') => self.cursor.advance(2),
                Some(b'#') => {
                    while self.cursor.peek().is_some_and(|byte| byte != b'\n') {
                        self.cursor.advance(1);
                    }
                }
                _ => return,
            }
        }
    }

    fn operator(&mut self) -> TokenKind {
        const OPERATORS: [(&[u8], TokenKind); 18] = [
            (b";;&", TokenKind::CaseEnd),
            (b";;", TokenKind::CaseEnd),
            (b";&", TokenKind::CaseEnd),
            (b";", TokenKind::Semicolon),
            (b"&&", TokenKind::Join),
            (b"&>>", TokenKind::Redirection),
            (b"&>", TokenKind::Redirection),
            (b"&", TokenKind::Background),
            (b"||", TokenKind::Join),
            (b"|&", TokenKind::Join),
            (b"|", TokenKind::Join),
            (b"<<<", TokenKind::Redirection),
            (b"<&", TokenKind::Redirection),
            (b"<>", TokenKind::Redirection),
            (b">>", TokenKind::Redirection),
            (b">&", TokenKind::Redirection),
            (b">|", TokenKind::Redirection),
            (b">", TokenKind::Redirection),
        ];
        if self.cursor.at(b"<<") && !self.cursor.at(b"<<<") {
            return self.here_document();
        }
        for (text, kind) in OPERATORS {
            if self.cursor.at(text) {
                return self.take(text.len(), kind);
            }
        }
        self.take(1, TokenKind::Redirection)
    }

    /// At `<<`: notes the delimiter, for the text begins after the end of this line.
    fn here_document(&mut self) -> TokenKind {
        self.cursor.advance(2);
        let strip_tabs = self.cursor.peek() == Some(b'-');
        if strip_tabs {
            self.cursor.advance(1);
        }
        self.skip_blanks();
        let start = self.cursor.pos();
        match word::scan(&mut self.cursor) {
            Err(skip::Unterminated) => {
                self.cursor.finish();
                TokenKind::Unterminated
            }
            Ok(text) => {
                let raw = self.cursor.slice(start..self.cursor.pos());
                self.documents.push(HereDocument {
                    delimiter: text.bytes.unwrap_or_else(|| raw.to_vec()),
                    strip_tabs,
                });
                TokenKind::Redirection
            }
        }
    }

    /// At the beginning of a line: passes over the here-documents that were announced on the one before.
    fn skip_documents(&mut self) {
        for document in std::mem::take(&mut self.documents) {
            while !self.cursor.rest().is_empty() {
                let rest = self.cursor.rest();
                let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
                self.cursor.advance(line.len() + 1);
                let tabs = line.iter().take_while(|byte| **byte == b'\t').count();
                let text = if document.strip_tabs {
                    line.get(tabs..).unwrap_or_default()
                } else {
                    line
                };
                if text == document.delimiter.as_slice() {
                    break;
                }
            }
        }
    }

    fn word(&mut self) -> Result<TokenKind, skip::Unterminated> {
        let start = self.cursor.pos();
        let rest = self.cursor.rest();
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        let key = rest.get(..length).unwrap_or_default();
        let behind = rest.get(length..).unwrap_or_default();
        let append = behind.starts_with(b"+=");
        if !word::is_name(key) || !(append || behind.starts_with(b"=")) {
            return Ok(TokenKind::Word(word::scan(&mut self.cursor)?));
        }
        self.cursor.advance(length + if append { 2 } else { 1 });
        let value = self.cursor.pos();
        // `KEY=(a b)` is an array to bash and an error to sh: the parenthesis is left to be reported as code.
        let text = word::scan(&mut self.cursor)?;
        Ok(TokenKind::Assignment(Assignment {
            word: start..self.cursor.pos(),
            key: key.to_vec(),
            append,
            value: value..self.cursor.pos(),
            braces: text.braces,
            text: text.bytes,
        }))
    }
}
