// Answers each message with a greeting; what is written to the console is the log.
export default async (subject, payload, ctx) => {
  const who = payload.text() || "world";
  console.log(`greeting ${who}`);
  return { greeting: `Hello, ${who}!` };
};
