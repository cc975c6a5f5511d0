// Contacts as persons: the mapping of the stock plugin contact-to-person, in TypeScript.
import {
  bool,
  date,
  dateTime,
  email,
  fullName,
  id,
  mapper,
  output,
  record,
  reject,
  skip,
  text,
} from "kilofold-plugin";

const Contact = record({
  Id: id,
  FirstName: text.optional,
  LastName: text,
  Salutation: text.optional,
  Email: text.optional,
  Phone: text.optional,
  MobilePhone: text.optional,
  Title: text.optional,
  Department: text.optional,
  AccountId: id.optional,
  "Account.Name": text.optional,
  OwnerId: id.optional,
  MailingStreet: text.optional,
  MailingCity: text.optional,
  MailingState: text.optional,
  MailingPostalCode: text.optional,
  MailingCountry: text.optional,
  Birthdate: date.optional,
  LeadSource: text.optional,
  HasOptedOutOfEmail: bool,
  DoNotCall: bool,
  CreatedDate: dateTime,
  LastModifiedDate: dateTime,
});

const person = output("person", {
  name: text,
  first_name: text.optional,
  last_name: text,
  salutation: text.optional,
  email: text,
  phone: text.optional,
  title: text.optional,
  department: text.optional,
  account_id: id.optional,
  account_name: text.optional,
  owner_id: id.optional,
  street: text.optional,
  city: text.optional,
  state: text.optional,
  postal_code: text.optional,
  country: text.optional,
  birthdate: date.optional,
  source: text.optional,
  may_email: bool,
  may_call: bool,
  created_at: dateTime,
  updated_at: dateTime,
});

export default mapper({
  record: Contact,
  outputs: [person],
  objects: ["Contact"],
  map(contact) {
    if (contact.Email === null) {
      return skip("no e-mail address");
    }
    const address = email(contact.Email);
    if (address === null) {
      return reject("email.invalid", `${JSON.stringify(contact.Email)} is not an e-mail address`, "Email");
    }
    return person(contact.Id, {
      name: fullName(contact.FirstName, contact.LastName),
      first_name: contact.FirstName,
      last_name: contact.LastName,
      salutation: contact.Salutation,
      email: address,
      phone: contact.Phone ?? contact.MobilePhone,
      title: contact.Title,
      department: contact.Department,
      account_id: contact.AccountId,
      account_name: contact["Account.Name"],
      owner_id: contact.OwnerId,
      street: contact.MailingStreet,
      city: contact.MailingCity,
      state: contact.MailingState,
      postal_code: contact.MailingPostalCode,
      country: contact.MailingCountry,
      birthdate: contact.Birthdate,
      source: contact.LeadSource,
      may_email: !contact.HasOptedOutOfEmail,
      may_call: !contact.DoNotCall,
      created_at: contact.CreatedDate,
      updated_at: contact.LastModifiedDate,
    });
  },
});
