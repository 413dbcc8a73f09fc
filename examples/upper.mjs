// Each text that is put into IN is put into OUT in upper case.
// nex run upper.mjs --on object:IN --object-bucket IN --object-bucket OUT
export default async (subject, payload, { objects, trigger }) => {
  if (trigger.operation !== "put") return;
  const text = await objects.bucket("IN").getText(trigger.name);
  await objects.bucket("OUT").put(trigger.name, text.toUpperCase());
};
