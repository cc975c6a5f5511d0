"""Contacts as persons: the mapping of the stock plugin contact-to-person, in Python."""

import json
from typing import TypedDict

from kilofold_plugin import Date, DateTime, Id, Outcome, email, full_name, mapper, output, reject, skip

# Written so, and not as a class, because of the field of a parent.
Contact = TypedDict(
    "Contact",
    {
        "Id": Id,
        "FirstName": str | None,
        "LastName": str,
        "Salutation": str | None,
        "Email": str | None,
        "Phone": str | None,
        "MobilePhone": str | None,
        "Title": str | None,
        "Department": str | None,
        "AccountId": Id | None,
        "Account.Name": str | None,
        "OwnerId": Id | None,
        "MailingStreet": str | None,
        "MailingCity": str | None,
        "MailingState": str | None,
        "MailingPostalCode": str | None,
        "MailingCountry": str | None,
        "Birthdate": Date | None,
        "LeadSource": str | None,
        "HasOptedOutOfEmail": bool,
        "DoNotCall": bool,
        "CreatedDate": DateTime,
        "LastModifiedDate": DateTime,
    },
)


class Person(TypedDict):
    name: str
    first_name: str | None
    last_name: str
    salutation: str | None
    email: str
    phone: str | None
    title: str | None
    department: str | None
    account_id: str | None
    account_name: str | None
    owner_id: str | None
    street: str | None
    city: str | None
    state: str | None
    postal_code: str | None
    country: str | None
    birthdate: str | None
    source: str | None
    may_email: bool
    may_call: bool
    created_at: str
    updated_at: str


person = output("person", Person)


@mapper(objects=["Contact"], outputs=[person])
def plugin(contact: Contact) -> Outcome:
    if contact["Email"] is None:
        return skip("no e-mail address")
    address = email(contact["Email"])
    if address is None:
        shown = json.dumps(contact["Email"], ensure_ascii=False)
        return reject("email.invalid", f"{shown} is not an e-mail address", "Email")
    return person(
        contact["Id"],
        {
            "name": full_name(contact["FirstName"], contact["LastName"]),
            "first_name": contact["FirstName"],
            "last_name": contact["LastName"],
            "salutation": contact["Salutation"],
            "email": address,
            "phone": contact["Phone"] if contact["Phone"] is not None else contact["MobilePhone"],
            "title": contact["Title"],
            "department": contact["Department"],
            "account_id": contact["AccountId"],
            "account_name": contact["Account.Name"],
            "owner_id": contact["OwnerId"],
            "street": contact["MailingStreet"],
            "city": contact["MailingCity"],
            "state": contact["MailingState"],
            "postal_code": contact["MailingPostalCode"],
            "country": contact["MailingCountry"],
            "birthdate": contact["Birthdate"],
            "source": contact["LeadSource"],
            "may_email": not contact["HasOptedOutOfEmail"],
            "may_call": not contact["DoNotCall"],
            "created_at": contact["CreatedDate"],
            "updated_at": contact["LastModifiedDate"],
        },
    )
