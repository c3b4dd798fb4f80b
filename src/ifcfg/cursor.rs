//! A position in the bytes of a file.

/// Bytes and a position in them; reading past the end gives `None`, never a panic.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    src: &'a [u8],
    pos: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of `src`.
    pub(super) fn new(src: &'a [u8]) -> Self {
        Self { src, pos: 0 }
    }

    /// Bytes before the position.
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    /// The next byte.
    pub(super) fn peek(&self) -> Option<u8> {
        self.peek_at(0)
    }

    /// The byte `ahead` of the next one.
    pub(super) fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.src.get(self.pos.saturating_add(ahead)).copied()
    }

    /// Whether `text` comes next.
    pub(super) fn at(&self, text: &[u8]) -> bool {
        self.rest().starts_with(text)
    }

    /// What lies ahead.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.src.get(self.pos..).unwrap_or_default()
    }

    /// The bytes of `range`.
    pub(super) fn slice(&self, range: std::ops::Range<usize>) -> &'a [u8] {
        self.src.get(range).unwrap_or_default()
    }

    /// Goes on by `count` bytes, at most to the end.
    pub(super) fn advance(&mut self, count: usize) {
        self.pos = self.pos.saturating_add(count).min(self.src.len());
    }

    /// Takes the next byte.
    pub(super) fn bump(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.advance(1);
        byte
    }

    /// Goes to the end.
    pub(super) fn finish(&mut self) {
        self.pos = self.src.len();
    }
}
