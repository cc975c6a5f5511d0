/**
 * Write a kilofold mapping in TypeScript or JavaScript: what is read, what is made, and one function.
 *
 * ```ts
 * const Contact = record({ Id: id, FirstName: text.optional, Email: text.optional });
 * const person = output("person", { first_name: text.optional, email: text });
 *
 * export default mapper({
 *   record: Contact,
 *   outputs: [person],
 *   objects: ["Contact"],
 *   map(contact) {
 *     if (contact.Email === null) return skip("no e-mail");
 *     return person(contact.Id, { first_name: contact.FirstName, email: contact.Email.toLowerCase() });
 *   },
 * });
 * ```
 */
export {
  type Address,
  type Field,
  type Fields,
  type Location,
  type RecordOf,
  type RecordType,
  type ValuesOf,
  address,
  anyRecord,
  bool,
  choices,
  date,
  dateTime,
  id,
  integer,
  json,
  location,
  number,
  record,
  text,
  time,
  utc,
} from "./fields.ts";
export { type Host, type Level, connect, log, lookup } from "./host.ts";
export { type Call, type Context, type Description, type Mapping, type Plugin, mapper } from "./mapper.ts";
export { type Kind, type Outcome, type Output, Rejection, anyOutput, output, reject, skip } from "./outcome.ts";
export {
  type Setting,
  type Settings,
  type SettingsOf,
  boolSetting,
  choiceSetting,
  integerSetting,
  numberSetting,
  secretSetting,
  textSetting,
} from "./settings.ts";
export { email, fullName, id18, kindOf, relationship, relationships } from "./values.ts";
