# A source that ends in _avx2.cpp, _avx512.cpp or _avx512ext.cpp is compiled for that instruction
# set where the processor family has it, and left out elsewhere.
set(BUNRAKU_ISA_FLAGS_avx2 -mavx2 -mfma)
set(BUNRAKU_ISA_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
set(BUNRAKU_ISA_FLAGS_avx512ext ${BUNRAKU_ISA_FLAGS_avx512} -mavx512bf16 -mavx512vnni)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64" AND NOT MSVC)
  set(BUNRAKU_ISA_X86 ON)
  set(BUNRAKU_ISA_DEFINITIONS BUNRAKU_HAVE_AVX2=1 BUNRAKU_HAVE_AVX512=1)
else()
  set(BUNRAKU_ISA_X86 OFF)
  set(BUNRAKU_ISA_DEFINITIONS "")
endif()

# Give the sources in the list named SOURCES their flags, or take them off the list.
function(bunraku_instruction_sets SOURCES)
  set(KEPT ${${SOURCES}})
  foreach(ISA avx2 avx512 avx512ext)
    set(ISA_SOURCES ${KEPT})
    list(FILTER ISA_SOURCES INCLUDE REGEX "_${ISA}\\.cpp$")
    if(BUNRAKU_ISA_X86)
      set_source_files_properties(${ISA_SOURCES} PROPERTIES COMPILE_OPTIONS "${BUNRAKU_ISA_FLAGS_${ISA}}")
    elseif(ISA_SOURCES)
      list(REMOVE_ITEM KEPT ${ISA_SOURCES})
    endif()
  endforeach()
  set(${SOURCES} ${KEPT} PARENT_SCOPE)
endfunction()
