# Stands for the unit tests where they can't be built.
echo "SKIP: cmocka was not found by configure (Debian: libcmocka-dev)"
exit 77
