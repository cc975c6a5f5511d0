//! Reads the texts of a block. A body is put together when it is asked for.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::{BODY, FORMAT, MADE, Owner, RECORD, SHAPED, owner};
use crate::model::{RecordId, Span, leaves};
use crate::store::codec::Take;

/// How a payload of the second format ends, in which records are whole.
const FORMAT_2: [u8; 2] = [2, 0];
/// The first kind of body in that format.
const MADE_2: u64 = 2;
/// The longest text that reading will make.
const LONGEST: usize = 1 << 30;

/// The texts of a block, as they were read.
#[derive(Debug)]
pub(in crate::store) struct Texts {
    payload: Vec<u8>,
    items: Vec<Item>,
    /// By the shapes of records.
    shapes: Vec<Between>,
    /// By the kinds of bodies.
    kinds: Vec<Between>,
}

/// What lies between the values of texts: one piece more than there are values.
type Between = Vec<Range<usize>>;

#[derive(Debug)]
struct Item {
    owner: Owner,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Whole(Range<usize>),
    /// A record.
    Shaped {
        shape: usize,
        /// All of its values.
        values: Vec<Span>,
    },
    /// A body.
    Made {
        /// Which text the record is.
        raw: usize,
        kind: usize,
        sources: Arc<[u64]>,
        bits: Range<usize>,
        /// The values that are not the record's.
        own: Vec<Range<usize>>,
    },
}

impl Texts {
    /// Reads what [`super::Writer::take`] gave; none when it cannot be that.
    pub(in crate::store) fn read(payload: Vec<u8>) -> Option<Self> {
        let (rest, made) = if let Some(rest) = payload.strip_suffix(&FORMAT) {
            (rest, MADE)
        } else if let Some(rest) = payload.strip_suffix(&FORMAT_2) {
            (rest, MADE_2)
        } else {
            return Self::read_first(payload);
        };
        let (rest, trailer) = rest.split_last_chunk::<8>()?;
        let [a, b, c, d, e, f, g, h] = *trailer;
        let (count, heads) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let (own, heads) = rest.split_at_checked(rest.len().checked_sub(heads as usize)?)?;
        let mut reader = Reader::new(own, heads, made);
        for _ in 0..count {
            reader.text()?;
        }
        let Reader { heads, at, items, shapes, kinds, .. } = reader;
        let whole = heads.0.is_empty() && at == own.len();
        whole.then_some(Self { payload, items, shapes, kinds })
    }

    /// Reads the first format: the texts as they are, behind their records and lengths.
    fn read_first(payload: Vec<u8>) -> Option<Self> {
        let mut take = Take(&payload);
        let mut lens = Vec::new();
        for _ in 0..take.small()? {
            let owner: Owner = take.exactly(15)?.try_into().ok()?;
            lens.push((owner, take.small()? as usize));
        }
        let mut at = payload.len() - take.0.len();
        let mut items = Vec::new();
        for (owner, len) in lens {
            let start = at;
            at = at.checked_add(len)?;
            items.push(Item { owner, form: Form::Whole(start..at) });
        }
        (at == payload.len()).then_some(Self {
            payload,
            items,
            shapes: Vec::new(),
            kinds: Vec::new(),
        })
    }

    /// About how much memory they take.
    pub(in crate::store) fn bytes(&self) -> usize {
        let own = self.items.iter().map(|item| match &item.form {
            Form::Whole(_) => 0,
            Form::Shaped { values, .. } => values.capacity(),
            Form::Made { own, .. } => own.capacity(),
        });
        let between = self.shapes.iter().chain(&self.kinds).map(Vec::capacity);
        let ranges = own.chain(between).sum::<usize>();
        self.payload.capacity()
            + self.items.capacity() * size_of::<Item>()
            + ranges * size_of::<Range<usize>>()
    }

    /// Text `index`, which must be one of this record; none when it is not, or cannot be read.
    pub(in crate::store) fn text(&self, index: u32, id: &RecordId) -> Option<String> {
        let item = self.items.get(index as usize).filter(|item| item.owner == owner(id))?;
        let bytes = match &item.form {
            Form::Whole(range) => self.payload.get(range.clone())?.to_vec(),
            Form::Shaped { shape, values } => {
                let gaps = self.shapes.get(*shape)?;
                self.woven(gaps, values.iter().map(|value| self.payload.get(value.range())))?
            }
            Form::Made { raw, kind, sources, bits, own } => {
                let (record, leaves) = self.leaves(*raw)?;
                let mut own = own.iter();
                let value = |(n, source): (usize, &u64)| {
                    let differs = self.payload.get(bits.start + n / 8)? >> (n % 8) & 1 == 1;
                    if differs {
                        return self.payload.get(own.next()?.clone());
                    }
                    let leaf = usize::try_from(source.checked_sub(1)?).ok()?;
                    record.get(leaves.get(leaf)?.range())
                };
                self.woven(self.kinds.get(*kind)?, sources.iter().enumerate().map(value))?
            }
        };
        String::from_utf8(bytes).ok()
    }

    /// The values of a record, and the bytes that they lie in.
    fn leaves(&self, raw: usize) -> Option<(&[u8], Cow<'_, [Span]>)> {
        match &self.items.get(raw)?.form {
            Form::Whole(record) => {
                let record = std::str::from_utf8(self.payload.get(record.clone())?).ok()?;
                Some((record.as_bytes(), leaves(record)?.into()))
            }
            Form::Shaped { values, .. } => Some((&self.payload, values.into())),
            Form::Made { .. } => None,
        }
    }

    /// A text of these values, with the gaps around them.
    fn woven<'a>(
        &self,
        gaps: &Between,
        mut values: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        for gap in gaps {
            text.extend_from_slice(self.payload.get(gap.clone())?);
            let Some(value) = values.next() else { break };
            text.extend_from_slice(value?);
            if text.len() > LONGEST {
                return None;
            }
        }
        Some(text)
    }
}

/// Reads the heads, one text after the other.
struct Reader<'a> {
    own: &'a [u8],
    /// Where the next own byte is.
    at: usize,
    heads: Take<'a>,
    /// The form of bodies of the first kind.
    made: u64,
    /// Where the heads end in the payload.
    end: usize,
    owner: Owner,
    /// The last record, and which text it is.
    raw: Option<(Owner, usize)>,
    items: Vec<Item>,
    shapes: Vec<Between>,
    /// By shape, which text is the last record of it.
    last: Vec<usize>,
    kinds: Vec<Between>,
    sources: Vec<Arc<[u64]>>,
}

impl<'a> Reader<'a> {
    fn new(own: &'a [u8], heads: &'a [u8], made: u64) -> Self {
        let end = own.len() + heads.len();
        Self {
            own,
            at: 0,
            heads: Take(heads),
            made,
            end,
            owner: [0; 15],
            raw: None,
            items: Vec::new(),
            shapes: Vec::new(),
            last: Vec::new(),
            kinds: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// So many bytes of the heads, and where they lie in the payload.
    fn head(&mut self, len: usize) -> Option<(&'a [u8], Range<usize>)> {
        let bytes = self.heads.exactly(len)?;
        let end = self.end - self.heads.0.len();
        Some((bytes, end - len..end))
    }

    /// Where the next own bytes lie, whose length the heads tell.
    fn own(&mut self) -> Option<Range<usize>> {
        let end = self.at.checked_add(self.size()?)?;
        (end <= self.own.len()).then(|| std::mem::replace(&mut self.at, end)..end)
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.heads.number()?).ok()
    }

    fn text(&mut self) -> Option<()> {
        let flags = self.heads.number()?;
        if flags & 1 == 0 {
            let &[shared] = self.heads.exactly(1)? else { return None };
            let rest = self.owner.get_mut(usize::from(shared)..)?;
            rest.copy_from_slice(self.heads.exactly(rest.len())?);
        }
        let owner = self.owner;
        let form = match flags >> 1 {
            RECORD => {
                self.raw = Some((owner, self.items.len()));
                Form::Whole(self.own()?)
            }
            BODY => Form::Whole(self.own()?),
            SHAPED if self.made == MADE => {
                self.raw = Some((owner, self.items.len()));
                self.shaped()?
            }
            form => {
                let (_, raw) = self.raw.filter(|(of, _)| *of == owner)?;
                self.made(raw, usize::try_from(form.checked_sub(self.made)?).ok()?)?
            }
        };
        self.items.push(Item { owner, form });
        Some(())
    }

    fn shaped(&mut self) -> Option<Form> {
        let shape = self.size()?;
        let mut values = if shape == self.shapes.len() {
            let between = self.between()?;
            let values = vec![Span::default(); between.len() - 1];
            self.shapes.push(between);
            self.last.push(0);
            values
        } else {
            let Form::Shaped { values, .. } = &self.items.get(*self.last.get(shape)?)?.form else {
                return None;
            };
            values.clone()
        };
        let (bits, _) = self.head(values.len().div_ceil(8))?;
        for (n, value) in values.iter_mut().enumerate() {
            if bits.get(n / 8)? >> (n % 8) & 1 == 1 {
                *value = Span::new(self.own()?);
            }
        }
        *self.last.get_mut(shape)? = self.items.len();
        Some(Form::Shaped { shape, values })
    }

    /// What lies between values, as the heads tell it.
    fn between(&mut self) -> Option<Between> {
        let mut between = Between::new();
        for _ in 0..=self.size()? {
            let len = self.size()?;
            between.push(self.head(len)?.1);
        }
        Some(between)
    }

    fn made(&mut self, raw: usize, kind: usize) -> Option<Form> {
        if kind == self.kinds.len() {
            let between = self.between()?;
            self.sources.push(vec![0; between.len() - 1].into());
            self.kinds.push(between);
        }
        let sources = self.sources.get_mut(kind)?;
        let values = sources.len();
        for _ in 0..self.heads.number()? {
            let n = usize::try_from(self.heads.number()?).ok()?;
            *Arc::make_mut(sources).get_mut(n)? = self.heads.number()?;
        }
        let sources = sources.clone();
        let (bytes, bits) = self.head(values.div_ceil(8))?;
        let set = bytes.iter().map(|byte| byte.count_ones()).sum::<u32>();
        let own = (0..set).map(|_| self.own()).collect::<Option<_>>()?;
        Some(Form::Made { raw, kind, sources, bits, own })
    }
}
