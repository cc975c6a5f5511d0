// Does what its records say, so that the host's tests can ask for it.
import {
  address,
  choiceSetting,
  choices,
  dateTime,
  id,
  integer,
  integerSetting,
  json,
  log,
  lookup,
  mapper,
  output,
  record,
  reject,
  relationship,
  relationships,
  secretSetting,
  skip,
  text,
} from "kilofold-plugin";

const Line = record({
  Id: id,
  Kind__c: text,
  Tags__c: choices.optional,
  Size__c: integer.optional,
  At__c: dateTime.optional,
  Where__c: address.optional,
});

const line = output("line", {
  tags: choices.optional,
  size: integer.optional,
  at: dateTime.optional,
  city: text.optional,
  home: text,
  year: integer,
  known: json,
});

export default mapper({
  record: Line,
  outputs: [line, relationships],
  objects: ["Line__c"],
  settings: {
    home: choiceSetting(["eu", "us"], { help: "Where it is at home.", default: "eu" }),
    least: integerSetting({ default: 2 }),
    token: secretSetting({ optional: true }),
  },
  checkSettings: ({ least }) => (least < 0 ? { least: "must not be below zero" } : {}),
  map(it, { settings, context }) {
    switch (it.Kind__c) {
      case "skip":
        return skip("told to");
      case "fail":
        return reject("told.to", "m", "Kind__c");
      case "throw reject":
        throw reject("told.too", "thrown");
      case "throw":
        throw new Error("told to");
      case "clock":
        return line(it.Id, { ...make().fields, year: new Date().getUTCFullYear() } as never);
      case "partly":
        return line(it.Id, { home: settings.home, tags: null } as never);
      case "undeclared":
        return line(it.Id, { ...make().fields, colour: "red" } as never);
      case "renamed": {
        const { home, ...rest } = make().fields as { home: string };
        return line(it.Id, { ...rest, homes: home } as never);
      }
      case "none":
        return null;
      case "two":
        return [make(), relationship("account", "003D000000QYVl5IAH", "001D000000IRFmaIAH")];
      case "log":
        log.warn(`${it.Id} in ${context.sync}, at least ${settings.least}`);
        return make();
      default:
        return make();
    }

    function make() {
      const [known] = lookup("line", [it.Id]);
      return line(it.Id, {
        tags: it.Tags__c,
        size: it.Size__c,
        at: it.At__c,
        city: it.Where__c === null ? null : it.Where__c.city,
        home: settings.home,
        year: new Date(context.readAt).getUTCFullYear(),
        known: known ?? null,
      });
    }
  },
});
