use std::path::Path;
