//! Where a command ends that is more than assignments: `if … fi`, functions, pipelines.
//!
//! What stands inside is not understood, only passed over, so that an assignment in a branch that may never
//! run is not taken for one that does. A mistake here is safe for callers: all of it is
//! reported as code.

use super::lexer::{Lexer, Token, TokenKind};

/// What has been opened and not yet closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    If,
    Loop,
    Brace,
    Parenthesis,
    Condition,
    /// `case`, before a pattern's `)`.
    Patterns,
    /// `case`, in the commands behind a pattern.
    Branch,
}

/// Follows the tokens of one command until it ends.
#[derive(Debug)]
pub(super) struct Tracker {
    opened: Vec<Opened>,
    at_command: bool,
    goes_on: bool,
    names_function: bool,
}

impl Tracker {
    /// Before the first token.
    pub(super) fn new() -> Self {
        Self {
            opened: Vec::new(),
            at_command: true,
            goes_on: false,
            names_function: false,
        }
    }

    /// Takes the next token, which `lexer` stands behind; says whether the command ended with it.
    pub(super) fn feed(&mut self, token: &Token, lexer: &mut Lexer<'_>) -> bool {
        let goes_on = std::mem::take(&mut self.goes_on);
        match &token.kind {
            TokenKind::End | TokenKind::Unterminated => return true,
            TokenKind::Word(text) => {
                let word = text.bytes.as_deref().filter(|_| !text.quoted);
                self.word(word.unwrap_or_default());
            }
            TokenKind::Assignment(_) | TokenKind::Redirection => self.at_command = false,
            TokenKind::Open => self.open(lexer),
            TokenKind::Close => self.close(),
            TokenKind::CaseEnd => {
                self.at_command = true;
                if let Some(top @ Opened::Branch) = self.opened.last_mut() {
                    *top = Opened::Patterns;
                }
            }
            TokenKind::Join => {
                self.at_command = true;
                self.goes_on = true;
            }
            TokenKind::Newline if goes_on => self.goes_on = true,
            TokenKind::Newline | TokenKind::Semicolon | TokenKind::Background => {
                self.at_command = true;
                return self.opened.is_empty();
            }
        }
        false
    }

    fn open(&mut self, lexer: &mut Lexer<'_>) {
        if self.opened.last() == Some(&Opened::Patterns) {
            return;
        }
        if self.at_command && lexer.at_open() {
            lexer.skip_arithmetic();
            self.at_command = false;
            return;
        }
        self.opened.push(Opened::Parenthesis);
        self.at_command = true;
    }

    fn close(&mut self) {
        match self.opened.last_mut() {
            Some(top @ Opened::Patterns) => *top = Opened::Branch,
            Some(Opened::Parenthesis) => {
                self.opened.pop();
            }
            _ => {}
        }
        // Behind `name()` the body of a function may begin.
        self.at_command = true;
    }

    fn word(&mut self, word: &[u8]) {
        match self.opened.last() {
            Some(Opened::Patterns) => {
                if word == b"esac" {
                    self.opened.pop();
                    self.at_command = false;
                }
                return;
            }
            Some(Opened::Condition) => {
                if word == b"]]" {
                    self.opened.pop();
                }
                return;
            }
            _ => {}
        }
        if std::mem::take(&mut self.names_function) {
            return;
        }
        if !self.at_command {
            return;
        }
        self.at_command = false;
        match word {
            b"if" => self.begin(Opened::If),
            b"while" | b"until" => self.begin(Opened::Loop),
            b"{" => self.begin(Opened::Brace),
            b"for" | b"select" => self.opened.push(Opened::Loop),
            b"case" => self.opened.push(Opened::Patterns),
            b"[[" => self.opened.push(Opened::Condition),
            b"then" | b"elif" | b"else" | b"do" | b"!" | b"time" | b"coproc" => {
                self.at_command = true;
            }
            b"function" => {
                self.at_command = true;
                self.names_function = true;
            }
            b"fi" => self.end(Opened::If),
            b"done" => self.end(Opened::Loop),
            b"}" => self.end(Opened::Brace),
            b"esac" => self.end(Opened::Branch),
            _ => {}
        }
    }

    fn begin(&mut self, what: Opened) {
        self.opened.push(what);
        self.at_command = true;
    }

    fn end(&mut self, what: Opened) {
        if self.opened.last() == Some(&what) {
            self.opened.pop();
        }
    }
}
