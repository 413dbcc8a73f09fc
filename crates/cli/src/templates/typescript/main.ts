// Answers each message with a greeting. Types are taken away at the deploy; nothing is to be built.

/** Bytes, with two short ways to read them. */
type Payload = Uint8Array & { text(): string; json(): unknown };

interface Greeting {
  greeting: string;
}

export default async (subject: string, payload: Payload): Promise<Greeting> => {
  const who: string = payload.text() || "world";
  console.log(`greeting ${who}`);
  return { greeting: `Hello, ${who}!` };
};
