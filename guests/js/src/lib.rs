use rquickjs as _; use url as _;
