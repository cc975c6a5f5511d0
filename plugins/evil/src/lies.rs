//! Answers that break the contract.

use crate::bindings::exports::kilofold::mapping::table::{OutRow, Outcomes};
use crate::bindings::kilofold::mapping::types::Verdict;
use crate::harm::Records;

/// What `mode` can be, beside the harm.
pub(crate) const MODES: &[&str] = &[
    "result-huge",
    "result-many-rows",
    "result-many-cells",
    "result-amplified",
    "bad-index",
    "bad-order",
    "bad-repeat",
    "bad-mixed",
    "bad-kind",
    "bad-cell-count",
    "bad-cells-missing",
    "bad-cells-extra",
    "bad-cell-bounds",
    "bad-batch-bounds",
    "bad-cell-type",
    "bad-utf8",
    "bad-char-boundary",
    "bad-number",
    "bad-json",
    "empty-key",
    "null-key",
    "number-key",
    "huge-key",
    "same-key",
    "missing-records",
    "no-records",
];

const TEXT: u64 = 1;
const NUMBER: u64 = 3;
const JSON: u64 = 5;

fn cell(start: usize, length: usize, bits: u64) -> u64 {
    (start as u64) << 32 | (length as u64) << 4 | bits
}

/// Spoils an honest answer. The last record is the one lied about, where one is enough.
pub(crate) fn tell(mode: &str, records: &Records<'_>, out: &mut Outcomes) {
    let end = out.text.len();
    let Some(last) = out.rows.len().checked_sub(1) else {
        return;
    };
    // The last row's key and name.
    let (key, name) = (last * 2, last * 2 + 1);
    match mode {
        "result-huge" => out.text.push_str(&"x".repeat(100 << 20)),
        "result-many-rows" => {
            let row = OutRow { index: last as u32, verdict: Verdict::Mapped, kind: 0, cells: 0 };
            out.rows.extend(std::iter::repeat_n(row, 3_000_000));
        }
        "result-many-cells" => out.cells.resize(3_000_000, 0),
        // Every name is one and the same megabyte: little crosses, much would be stored.
        "result-amplified" => {
            out.text.push_str(&"y".repeat(1 << 20));
            out.cells
                .iter_mut()
                .skip(1)
                .step_by(2)
                .for_each(|name| *name = cell(end, 1 << 20, TEXT));
        }
        "bad-index" => out.rows[last].index = u32::MAX,
        "bad-order" => out.rows.reverse(),
        "bad-repeat" => out.rows[last].index = 0,
        "bad-mixed" => {
            out.rows.push(OutRow {
                index: last as u32,
                verdict: Verdict::Skipped,
                kind: 0,
                cells: 1,
            });
            out.cells.push(cell(0, 1, TEXT));
        }
        "bad-kind" => out.rows[last].kind = 7,
        "bad-cell-count" => {
            out.rows[last].cells = 3;
            out.cells.push(cell(0, 1, TEXT));
        }
        "bad-cells-missing" => out.cells.truncate(name),
        "bad-cells-extra" => out.cells.push(cell(0, 1, TEXT)),
        "bad-cell-bounds" => out.cells[name] = cell(end, 1, TEXT),
        "bad-batch-bounds" => out.cells[name] = cell(records.text_len(), 1, TEXT | 8),
        "bad-cell-type" => out.cells[name] |= 7,
        // SAFETY: not safe at all, and that is the test: the host must not believe a guest about UTF-8. Nothing reads
        // the text here any more.
        "bad-utf8" => unsafe { out.text.as_mut_vec() }.extend([0xff, 0xfe, 0xc0]),
        "bad-char-boundary" => {
            out.text.push('語');
            out.cells[name] = cell(end + 1, 1, TEXT);
        }
        "bad-number" | "bad-json" => {
            let (lie, kind) =
                if mode == "bad-number" { ("12abc", NUMBER) } else { ("{\"a\":", JSON) };
            out.text.push_str(lie);
            out.cells[name] = cell(end, lie.len(), kind);
        }
        "empty-key" => out.cells[key] = cell(0, 0, TEXT),
        "null-key" => out.cells[key] = 0,
        "number-key" => {
            out.text.push('1');
            out.cells[key] = cell(end, 1, NUMBER);
        }
        "huge-key" => {
            out.text.push_str(&"k".repeat(1 << 20));
            out.cells[key] = cell(end, 1 << 20, TEXT);
        }
        "same-key" => out.cells[key] = out.cells[0],
        "missing-records" => {
            out.rows.truncate(last);
            out.cells.truncate(key);
        }
        "no-records" => {
            *out = Outcomes { rows: Vec::new(), text: String::new(), cells: Vec::new() }
        }
        _ => {}
    }
}
