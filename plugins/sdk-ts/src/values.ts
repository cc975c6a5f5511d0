import { type Kind, type Output, output } from "./outcome.ts";
import { id, text } from "./fields.ts";

const STRANGE = /[\s\x00-\x20\x7f,;<>"()]/;
const LABELS = /^[^.-](?:[^.]*[^.-])?(?:\.[^.-](?:[^.]*[^.-])?)+$/;

/** An e-mail address in lower case; `null` when the text is none. */
export function email(address: string): string | null {
  const it = address.trim();
  const at = it.indexOf("@");
  if (at < 1 || it.length > 254 || it.includes("@", at + 1) || STRANGE.test(it) || !LABELS.test(it.slice(at + 1))) {
    return null;
  }
  return it.toLowerCase();
}

/** First and last name in one. */
export function fullName(first: string | null, last: string): string {
  const name = first?.trim();
  return name ? `${name} ${last}` : last;
}

/** The kind that the stock mappings make of the record with this id. */
export function kindOf(id: string): "person" | "event" | "object" {
  switch (id.slice(0, 3)) {
    case "003":
    case "00Q":
    case "005":
      return "person";
    case "00T":
    case "00U":
      return "event";
    default:
      return "object";
  }
}

/** A Salesforce id in 18 characters, which stays unique where case is ignored. */
export function id18(id: string): string {
  if (id.length !== 15) {
    return id;
  }
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
  const suffix = [0, 5, 10].map((from) => {
    let bits = 0;
    for (let i = 0; i < 5; i++) {
      const letter = id.charAt(from + i);
      bits |= letter >= "A" && letter <= "Z" ? 1 << i : 0;
    }
    return letters.charAt(bits);
  });
  return id + suffix.join("");
}

const link = output("relationship", {
  relation: text,
  from_kind: text,
  from_key: id,
  to_kind: text,
  to_key: id,
});

/** The kind of the outputs that `relationship` makes. */
export const relationships: Pick<Kind<never>, "kind" | "names"> = link;

/** A relationship between the outputs of two records, such as of an opportunity to its `account`. */
export function relationship(relation: string, from: string, to: string): Output {
  return link(`${from}:${relation}:${to}`, {
    relation,
    from_kind: kindOf(from),
    from_key: from,
    to_kind: kindOf(to),
    to_key: to,
  });
}
