//! Reads the texts of a block. A body is put together when it is asked for.

use std::ops::Range;
use std::sync::Arc;

use super::{BODY, FORMAT, MADE, Owner, RECORD, owner};
use crate::model::{RecordId, leaves};
use crate::store::codec::Take;

/// The longest body that reading will make.
const LONGEST: usize = 1 << 30;

/// The texts of a block, as they were read.
#[derive(Debug)]
pub(in crate::store) struct Texts {
    payload: Vec<u8>,
    items: Vec<Item>,
    kinds: Vec<Between>,
}

/// What lies between the values of the bodies of a kind: one piece more than there are values.
type Between = Vec<Range<usize>>;

#[derive(Debug)]
struct Item {
    owner: Owner,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Whole(Range<usize>),
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
        let Some(rest) = payload.strip_suffix(&FORMAT) else { return Self::read_first(payload) };
        let (rest, trailer) = rest.split_last_chunk::<8>()?;
        let [a, b, c, d, e, f, g, h] = *trailer;
        let (count, heads) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let (own, heads) = rest.split_at_checked(rest.len().checked_sub(heads as usize)?)?;
        let mut reader = Reader::new(own, heads);
        for _ in 0..count {
            reader.text()?;
        }
        let Reader { heads, at, items, kinds, .. } = reader;
        let whole = heads.0.is_empty() && at == own.len();
        whole.then_some(Self { payload, items, kinds })
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
        (at == payload.len()).then_some(Self { payload, items, kinds: Vec::new() })
    }

    /// Text `index`, which must be one of this record; none when it is not, or cannot be read.
    pub(in crate::store) fn text(&self, index: u32, id: &RecordId) -> Option<String> {
        let item = self.items.get(index as usize).filter(|item| item.owner == owner(id))?;
        let bytes = match &item.form {
            Form::Whole(range) => self.payload.get(range.clone())?.to_vec(),
            Form::Made { raw, kind, sources, bits, own } => {
                let Form::Whole(record) = &self.items.get(*raw)?.form else { return None };
                let record = std::str::from_utf8(self.payload.get(record.clone())?).ok()?;
                let leaves = leaves(record)?;
                let mut own = own.iter();
                let mut text = Vec::new();
                for (n, gap) in self.kinds.get(*kind)?.iter().enumerate() {
                    text.extend_from_slice(self.payload.get(gap.clone())?);
                    let Some(source) = sources.get(n) else { break };
                    let differs = self.payload.get(bits.start + n / 8)? >> (n % 8) & 1 == 1;
                    let value = if differs {
                        self.payload.get(own.next()?.clone())?
                    } else {
                        let leaf = usize::try_from(source.checked_sub(1)?).ok()?;
                        record.as_bytes().get(leaves.get(leaf)?.range())?
                    };
                    text.extend_from_slice(value);
                    if text.len() > LONGEST {
                        return None;
                    }
                }
                text
            }
        };
        String::from_utf8(bytes).ok()
    }
}

/// Reads the heads, one text after the other.
struct Reader<'a> {
    own: &'a [u8],
    /// Where the next own byte is.
    at: usize,
    heads: Take<'a>,
    /// Where the heads end in the payload.
    end: usize,
    owner: Owner,
    /// The last record, and which text it is.
    raw: Option<(Owner, usize)>,
    items: Vec<Item>,
    kinds: Vec<Between>,
    sources: Vec<Arc<[u64]>>,
}

impl<'a> Reader<'a> {
    fn new(own: &'a [u8], heads: &'a [u8]) -> Self {
        let (items, kinds, sources) = Default::default();
        let (end, heads) = (own.len() + heads.len(), Take(heads));
        Self { own, at: 0, heads, end, owner: [0; 15], raw: None, items, kinds, sources }
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
            made => {
                let (_, raw) = self.raw.filter(|(of, _)| *of == owner)?;
                self.made(raw, usize::try_from(made - MADE).ok()?)?
            }
        };
        self.items.push(Item { owner, form });
        Some(())
    }

    fn made(&mut self, raw: usize, kind: usize) -> Option<Form> {
        if kind == self.kinds.len() {
            let mut between = Between::new();
            for _ in 0..=self.size()? {
                let len = self.size()?;
                between.push(self.head(len)?.1);
            }
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
